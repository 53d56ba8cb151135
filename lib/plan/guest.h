/* SPDX-License-Identifier: MIT */
/*
 * A guest as the whole suite sees it: figures of libvirt and of the guest, the administrator's hints, the memory of
 * earlier passes, estimates, and the decision. Plain data; sizes in KiB, words as virsh uses them.
 */
#ifndef MEMSCHED_PLAN_GUEST_H
#define MEMSCHED_PLAN_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/io.h"

/* Why a guest is treated as it is: the stable words of the JSON output. */
enum reason {
	REASON_NONE, /* not decided */
	REASON_BELOW_TARGET,
	REASON_ABOVE_TARGET,
	REASON_AT_TARGET,
	REASON_AT_MIN,
	REASON_AT_MAX,
	REASON_GROWING,
	REASON_PAGE_CACHE,
	REASON_PLENTY,
	REASON_DISTRESS,
	REASON_BOOTING,
	REASON_STALE_STATS,
	REASON_NO_STATS,
	REASON_NO_BALLOON,
	REASON_NO_DRIVER,
	REASON_STUCK,
	REASON_NO_GAIN,
	REASON_UNRESPONSIVE,
	REASON_PAUSED,
	REASON_MIGRATING,
	REASON_PINNED,
	REASON_HUGEPAGES,
	REASON_PASSTHROUGH,
	REASON_OPTED_OUT,
	REASON_EXCLUDED,
	REASON_HOST_RESERVE,
	REASON_SHARED_SHORTAGE,
	REASON_NO_GIVE,
	REASON_VANISHED,
	REASON_FAILED,
	REASON_COUNT
};

enum run_state { /* virDomainState, as `virsh domstate` says it */
	         RUN_NOSTATE,
	         RUN_RUNNING,
	         RUN_BLOCKED,
	         RUN_PAUSED,
	         RUN_SHUTDOWN,
	         RUN_SHUTOFF,
	         RUN_CRASHED,
	         RUN_PMSUSPENDED,
	         RUN_COUNT
};

enum sample_field { /* bits of sample.have: a value that was not reported is absent, never zero */
	            SAMPLE_ACTUAL = 1 << 0,
	            SAMPLE_RSS = 1 << 1,
	            SAMPLE_AVAILABLE = 1 << 2,
	            SAMPLE_UNUSED = 1 << 3,
	            SAMPLE_USABLE = 1 << 4,
	            SAMPLE_SWAP_IN = 1 << 5,
	            SAMPLE_MAJOR_FAULTS = 1 << 6,
	            SAMPLE_LAST_UPDATE = 1 << 7,
};

/* The figures of one reading. Everything but rss and the time of last_update comes from the guest and may be a lie. */
struct sample {
	unsigned have;          /* enum sample_field */
	uint64_t actual_kib;    /* size of the balloon's remainder; lags by up to 1 s */
	uint64_t rss_kib;       /* the memory that the host really holds for the QEMU process */
	uint64_t available_kib; /* the guest's MemTotal */
	uint64_t unused_kib;    /* its MemFree */
	uint64_t usable_kib;    /* its MemAvailable */
	uint64_t swap_in_kib;   /* cumulative since the guest booted */
	uint64_t major_faults;  /* cumulative since the guest booted */
	uint64_t last_update_s; /* host wall clock when the guest reported; 0: its driver never spoke */
};

/* Facts of the domain XML. */
struct device {
	uint64_t maximum_kib; /* the size with an empty balloon: <memory> without outside_kib */
	uint64_t dimm_kib;    /* DIMMs in it, which are plugged and unplugged while the guest runs */
	uint64_t
	    outside_kib; /* memory devices the balloon does not reach: NVDIMM, virtio-pmem, SGX; in rss all the same */
	uint64_t current_kib;    /* <currentMemory>, for a guest that cannot be asked */
	uint64_t hard_limit_kib; /* <memtune><hard_limit>; 0: none */
	uint32_t period_s;       /* <memballoon><stats period>; 0: none, statistics do not come by themselves */
	bool balloon;            /* has a balloon device (model not 'none') */
	bool bare;               /* <memballoon model='none'>; if the element is missing, libvirt adds a balloon */
	bool autodeflate;        /* <memballoon autodeflate='on'>: available does not follow the balloon */
	bool locked;             /* <memoryBacking><locked/>: the host frees nothing */
	bool hugepages;          /* <memoryBacking><hugepages>: the host frees little */
	bool passthrough;        /* a host device (VFIO, vDPA) or launch security: the host frees nothing */
	bool virtio_mem;         /* resized by other means */
	bool preallocated;       /* <memoryBacking><allocation mode='immediate'/> */
	bool reporting;          /* <memballoon freePageReporting='on'>: the host gets free pages back by itself */
	bool numa_bound; /* by <numatune> with mode='strict' or 'restrictive', or a device's <nodemask>: its memory
	                    comes from these nodes alone */
	bool unknown;    /* the XML could not be had or read: only maximum and current are known */
};

enum hint { HINT_MIN, HINT_MAX, HINT_WEIGHT, HINT_TARGET, HINT_MANAGED, HINT_COUNT };

#define HINT_FAULTS (HINT_COUNT + 3) /* one each, all that is unknown, and a configured min and max that do not fit */
#define HINT_FAULT_TEXT 320

/*
 * The administrator's hints, from <memsched:memory> in the domain's metadata; hints that are not given there, from
 * sections [guest PATTERN] of the configuration.
 */
struct hints {
	bool present; /* the element is there */
	bool opted_out;
	bool has_min, has_max, has_weight, has_target, has_managed;
	uint64_t min_kib, max_kib, target_kib;
	uint32_t weight;     /* 1-10000 */
	unsigned configured; /* bits 1 << enum hint: the configuration gives it */
	bool voided;         /* at least one of them */
	unsigned n_faults;
	char fault[HINT_FAULTS][HINT_FAULT_TEXT]; /* a sentence for each that is void or odd; safe to print */
};

#define WEIGHT_DEFAULT 100

/* A pass's decision for a guest, and its result. */
struct decision {
	uint64_t decided_ms;  /* CLOCK_BOOTTIME; 0: nothing was decided yet */
	uint64_t from_kib;    /* actual, as the pass found it; 0: not known */
	uint64_t want_kib;    /* the size planned; 0: left alone */
	uint64_t asked_kib;   /* the size that the guest was told to go to; 0: none */
	uint64_t reached_kib; /* its size when the pass ended; 0: not known by then */
	uint32_t reason;      /* enum reason */
};

/* The last pass that told a guest to move. */
struct told {
	uint64_t decided_ms; /* CLOCK_BOOTTIME; 0: none has */
	uint64_t from_kib, asked_kib;
	uint32_t reason; /* enum reason */
};

/* The least or the most of a figure in this window of time and in the one before. */
struct extreme {
	uint64_t since_ms; /* this window began; 0: nothing was seen */
	uint64_t now_kib, before_kib;
};

enum follows { FOLLOWS_UNKNOWN, FOLLOWS, STAYS }; /* whether available moves with the balloon */

/*
 * The memory of a pass for the next one, about a guest. Times are CLOCK_BOOTTIME ms, so they outlive the process but
 * not the host's boot, like /run. Another domain id means another boot of the guest: everything is forgotten.
 */
struct past {
	bool known;
	int64_t domain_id;
	uint64_t seen_ms;    /* the last pass that saw it */
	uint64_t actual_kib; /* as seen then */
	uint64_t still_ms;   /* since when actual has not changed; 0: since first sight */
	uint64_t asked_kib;  /* the last balloon target of ours; 0: none */
	uint64_t asked_ms;
	uint64_t asked_from_kib; /* actual when it was asked, or the size asked before if it may have that already */
	uint64_t grown_kib;      /* towards what it was asked, since the last sample at rest */
	uint64_t maximum_kib;    /* as of the device when the guest was seen last; 0: not seen */
	uint64_t outside_kib;
	bool learned;          /* overhead is known */
	uint64_t overhead_kib; /* actual - available, at rest: the part that the guest's kernel keeps for itself */
	bool has_used;
	uint64_t used_kib;      /* at the last new sample */
	uint64_t last_update_s; /* of the last new sample */
	uint64_t sample_ms;     /* when it was first seen */
	uint64_t growth_kibps;  /* smoothed rise of used */
	uint64_t rise_kibps;    /* its last rise, unsmoothed */
	uint64_t swap_in_kib, major_faults;
	bool has_rates; /* between the last two new samples: */
	uint64_t swap_in_kibps, faults_ps;
	uint32_t distress_samples; /* in a row */
	uint32_t distress_gives;   /* gives for distress that brought no relief, in a row */
	uint32_t refused;          /* passes in a row that asked and saw nothing move */
	uint64_t retry_ms;         /* a stuck guest is asked again after this */
	uint64_t pause_ms;         /* and then not for this long; doubles */
	uint64_t top_kib;          /* the most it has had since it booted */
	bool has_rss;
	uint64_t rss_kib;
	uint64_t rss_before_kib; /* before the last new sample */
	bool has_qemu;
	uint64_t qemu_kib;   /* rss beyond actual that is surely QEMU's own, learned at rest */
	uint32_t no_gain;    /* passes in a row at rest whose rss stayed above the size that the balloon leaves */
	uint64_t booted_ms;  /* when a reboot was noticed; 0: never */
	struct extreme low;  /* the least used of the last lead times */
	struct extreme peak; /* the most used, foreseen growth included, of the last 30 to 60 s */
	uint64_t surge_kib;  /* the greatest rise of used before a give could arrive; fades */
	uint64_t in_use_kib; /* available - unused of the last new sample, */
	uint64_t in_use_before_kib; /* and of the one before */
	uint64_t unused_kib;        /* the memory it could still use at the last new sample, */
	uint64_t touched_kib;       /* and by how much rss had risen then since the pass before */
	uint64_t rss_kibps;         /* the fastest rise of rss; fades */
	uint32_t follows;           /* enum follows */
	uint64_t rest_actual_kib;   /* at the last rest; 0: there was none */
	uint64_t rest_available_kib;
	struct decision last;
	struct told told;
};

#define QEMU_USUAL_KIB (48 * 1024)

/*
 * QEMU's own part of rss, taken for no less than is usual (30-90 MiB measured): guests may still touch as much more
 * than rss shows (with four guests that grew on a short host, it fell 300 MiB below the plan). Rather too little: the
 * rest is learned when a guest has touched all it has, but too much would count as promised for ever.
 */
static inline uint64_t past_qemu_kib(const struct past *p)
{
	return p->qemu_kib > QEMU_USUAL_KIB ? p->qemu_kib : QEMU_USUAL_KIB;
}

/* The estimate from sample and past. */
struct estimate {
	bool has_used; /* used, free and cache hold */
	uint64_t used_kib;
	uint64_t free_kib;     /* usable, else unused */
	uint64_t cache_kib;    /* the part of free_kib that is page cache; 0 without usable */
	uint64_t kept_kib;     /* the part of used_kib that its kernel keeps unused, and programs do not get */
	uint64_t implied_kib;  /* actual - free - the memory on its way: no plan expects it to use less */
	bool fresh;            /* the sample was not seen before */
	uint64_t lead_ms;      /* from a rise until a give for it can arrive */
	uint64_t foreseen_kib; /* growth within that */
	uint64_t risen_kib;    /* the rise of rss since before the last new sample, which does not show it */
	uint64_t hidden_kib;   /* the part of it that the sample does not explain */
	bool has_age;
	uint64_t age_ms;    /* of the sample */
	bool settled;       /* the sample was taken with the balloon at rest */
	bool predates_move; /* used is from before the last move; this sample does not show it */
	uint64_t doubt_kib; /* if predates_move, it may use so much more by now; UINT64_MAX: any amount */
	bool stale, booting, rebooted, stuck, distress, no_gain, absurd;
};

/* The decision of this pass, by policy alone. */
struct plan {
	uint64_t basic_kib;   /* use, target and foreseen growth, within its bounds; 0: fixed */
	uint64_t need_kib;    /* the same with the headroom learned from its surges */
	uint64_t comfort_kib; /* and with its page cache and a buffer */
	uint64_t share_kib;   /* the part of these claims that the host has for it */
	uint64_t floor_kib;   /* the min hint, or policy_floor_kib of its maximum */
	uint64_t ceil_kib;    /* the least of maximum, max hint, and guest_hard_ceiling_kib */
	uint64_t bottom_kib;  /* it keeps this in a shortage: its floor, or use and target / 4 */
	uint64_t want_kib;    /* the size planned; actual: no change */
	uint64_t grant_kib;   /* the size up to which the host has room now; 0: nothing was granted */
	uint64_t level_kib;   /* the part of the shared layer for weight 100; 0: the layers are whole */
	uint32_t layer;       /* enum layer: the one that is shared */
	uint64_t ask_kib;     /* the size of the command to send now; 0: none */
	enum reason reason;
	bool fixed;   /* left alone: neither given to nor taken from */
	bool no_take; /* may be given to, is never taken from */
};

/* Commands that went well, and by how much they changed the size that the guest was on its way to. */
struct moves {
	uint64_t gives, takes;
	uint64_t given_kib, taken_kib;
};

/* The commands to the guest in this pass, by the code that sends. */
struct order {
	uint64_t kib;        /* the last target sent, or possibly sent; 0: none */
	uint64_t rss_kib;    /* before the guard told it to give in this emergency; 0: it did not */
	uint64_t before_kib; /* its size before the guard told it to give; 0: it did not, or owes it nothing any more */
	bool sent;
	int error;   /* -errno of the last command to it */
	char *words; /* libvirt's own words for it; owned, NULL without error */
	struct moves moves;
};

struct guest {
	char *name; /* as libvirt gave it: hostile; owned, freed by guest_clear */
	char uuid[UUID_TEXT];
	int64_t domain_id;
	enum run_state run;

	/* from reading */
	bool answered;  /* sample is of this pass */
	bool hung;      /* did not answer within its deadline */
	bool vanished;  /* gone since it was listed */
	bool migrating; /* a job that forbids setting memory: migration, save, dump */
	bool excluded;  /* by configuration */
	struct sample sample;
	struct device device;
	struct hints hints;
	uint64_t facts_ms;  /* CLOCK_BOOTTIME when device and hints were read; 0: they were not, or of another boot */
	bool unreadable;    /* its record or its past could not be read, and counts as absent */
	bool registered;    /* the hook (or an earlier pass) wrote a record */
	uint64_t started_s; /* wall clock of a start the hook saw; 0: none */

	struct past past;
	struct estimate est;

	uint64_t target_kib; /* wished headroom of this guest */
	struct plan plan;
	struct order order;
	bool reread; /* sample was read again after the command: actual is the size it reached */
};

/*
 * The part of rss beyond the guest's actual: QEMU's own memory, and memory that the balloon did not free. It is not
 * known how much of its memory devices a guest has touched, so all of them may be in rss.
 */
static inline uint64_t guest_beyond_kib(const struct guest *g)
{
	uint64_t most_kib = g->sample.actual_kib + g->device.outside_kib;

	return g->sample.rss_kib > most_kib ? g->sample.rss_kib - most_kib : 0;
}

#define QEMU_START_KIB (64 * 1024) /* QEMU's own need at a start */

/*
 * The part of the host's available memory that a guest takes at its start: its currentMemory, and all of it if no
 * balloon holds the rest or the host must keep it in place. On huge pages it takes no more than QEMU itself needs.
 */
uint64_t device_start_kib(const struct device *d);

#define QEMU_LIMITED_KIB (256 * 1024)

/*
 * The most a guest may have under <hard_limit>; UINT64_MAX without one. QEMU's own memory counts there too: the part
 * learned, and at least 256 MiB, for its page cache and a device that is used for the first time come on top.
 */
static inline uint64_t guest_hard_ceiling_kib(const struct guest *g)
{
	uint64_t limit_kib = g->device.hard_limit_kib, qemu_kib = g->past.qemu_kib;

	if (!limit_kib)
		return UINT64_MAX;
	qemu_kib = qemu_kib > QEMU_LIMITED_KIB ? qemu_kib : QEMU_LIMITED_KIB;
	return limit_kib > qemu_kib ? limit_kib - qemu_kib : 0;
}

static inline uint32_t weight_of(const struct guest *g)
{
	return g->hints.weight ? g->hints.weight : WEIGHT_DEFAULT;
}

/* "below-target" …, "none" where nothing was decided; never NULL. */
const char *reason_word(enum reason reason);

/* "running" …, as virsh says it; "unresponsive" is not one of them. */
const char *run_state_word(enum run_state state);

/* By name, for qsort. */
int guest_order(const void *a, const void *b);

#define FACTS_MS 10000 /* device and hints are read again after this, for a change that shows nowhere else */

/* Whether device and hints must be read: never read, old, or the maximum (with all devices; 0: not known) is another.
 */
bool guest_facts_due(const struct guest *g, uint64_t maximum_kib, uint64_t now_ms);

/* Frees what the guest owns and zeroes it. */
void guest_clear(struct guest *g);

/* Clears n guests and frees their array. g may be NULL if n is 0. */
void guests_free(struct guest *g, size_t n);

#endif
