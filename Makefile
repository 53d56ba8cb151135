# memsched: moves host memory between the running KVM guests of one libvirt host.
#   make            builds the commands beside their sources
#   make demo       installs what is needed, boots four small guests and balances them   (root)
#   make check      installs what is needed and runs the tests, real guests included      (root)
# The rest: deps, quick (unit sim cli), guests, check-long (sanitize valgrind fuzz …), lint, bench, bench-policy, install, uninstall, clean

PREFIX     ?= /usr
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
DESTDIR    ?=
VERSION    := 0.1

CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config
WARNINGS   ?= -Wall -Wextra -Wshadow -Wconversion -Wformat=2

# Hardening, as far as this compiler has it (OpenSSF guide); set HARDEN= for sanitizer builds.
try = $(shell $(CC) -Werror $(1) -x c -o /dev/null - </dev/null >/dev/null 2>&1 -c && echo '$(1)')
ifndef HARDEN
HARDEN := $(foreach f,-D_FORTIFY_SOURCE=3 -fstack-clash-protection -fstack-protector-strong -fcf-protection=full \
            -fno-delete-null-pointer-checks -fno-strict-overflow -ftrivial-auto-var-init=zero \
            -Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion,\
            $(call try,-O2 -Wformat $(f)))
HARDEN := $(filter-out -O2 -Wformat,$(HARDEN)) -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
endif

XML_CFLAGS  = $(shell $(PKG_CONFIG) --cflags libxml-2.0)
XML_LIBS    = $(shell $(PKG_CONFIG) --libs libxml-2.0)
VIRT_CFLAGS = $(shell $(PKG_CONFIG) --cflags libvirt)
VIRT_LIBS   = $(shell $(PKG_CONFIG) --libs libvirt)

# One short line a step; V=1 shows the commands, -s nothing.
ifndef V
show = $(if $(findstring s,$(firstword -$(MAKEFLAGS))),@,@echo '  $(1) $@';)
endif
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -DMEMSCHED_VERSION='"$(VERSION)"' -Ilib $(WARNINGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS) -pthread -MMD -MP
LINK    = $(CC) $(HARDEN_LD) $(CFLAGS) -pthread $(LDFLAGS)

# Who links what: the pure modules stand alone, the hook's helper never sees libvirt.
PURE     := lib/units.o lib/uri.o lib/level.o lib/estimate.o lib/policy.o lib/guard.o
LIB      := $(patsubst %.c,%.o,$(wildcard lib/*.c))
HOOK     := lib/units.o lib/uri.o lib/domxml.o lib/registry.o lib/conf.o lib/text.o
COMMANDS := $(patsubst %.c,%,$(wildcard bin/*.c))
HELPERS  := $(patsubst %.c,%,$(wildcard hooks/*.c))
UNIT     := $(patsubst %.c,%.test,$(wildcard tests/unit/*.c))
PUREUNIT := $(filter $(patsubst lib/%.o,tests/unit/%.test,$(PURE)),$(UNIT))
SIM      := $(addprefix tests/sim/,peers_test world_test ours_test worlds bench)
SIMPARTS := $(filter-out $(addsuffix .o,$(SIM)),$(patsubst %.c,%.o,$(wildcard tests/sim/*.c)))
BENCH    := $(patsubst %.c,%,$(wildcard tests/bench/*.c))

all: $(COMMANDS) $(HELPERS)

lib/virt%.o: COMPILE += $(VIRT_CFLAGS)
lib/domxml.o: COMPILE += $(XML_CFLAGS)
%.o: %.c
	$(call show,CC)$(COMPILE) -c -o $@ $<

lib/libmemsched.a: $(LIB)
	$(call show,AR)rm -f $@ && $(AR) rcs $@ $^

$(COMMANDS): %: %.o lib/libmemsched.a
	$(call show,LD)$(LINK) -o $@ $^ $(VIRT_LIBS) $(XML_LIBS) -lm
$(HELPERS): %: %.o $(HOOK)
	$(call show,LD)$(LINK) -o $@ $^ $(XML_LIBS)

tests/unit/%.test: LIBS = -lcmocka
tests/unit/sentry.test: LIBS += -Wl,--wrap=clock_gettime,--wrap=virt_open,--wrap=virt_set
tests/unit/keeper.test: LIBS += -Wl,--wrap=virt_open,--wrap=virt_list,--wrap=virt_read,--wrap=virt_set_period
tests/unit/resident.test: LIBS += -Wl,--wrap=getrlimit
tests/unit/wake.test: LIBS += -Wl,--wrap=fstatfs,--wrap=write
tests/unit/registry.test: LIBS += -Wl,--wrap=nanosleep
tests/unit/command.test: LIBS += -Wl,--wrap=stat
tests/unit/scribe.test: LIBS += -Wl,--wrap=audit_write
$(PUREUNIT): %.test: %.o $(PURE)
	$(call show,LD)$(LINK) -o $@ $^ $(LIBS) -lm
$(filter-out $(PUREUNIT),$(UNIT)): %.test: %.o lib/libmemsched.a
	$(call show,LD)$(LINK) -o $@ $^ $(LIBS) $(VIRT_LIBS) $(XML_LIBS) -lm
tests/sim/%.o: COMPILE += -Itests/sim
$(SIM): %: %.o $(SIMPARTS) $(PURE) lib/pass.o lib/conf.o lib/text.o lib/host.o lib/guest.o
	$(call show,LD)$(LINK) -o $@ $^ $(if $(filter %_test,$@),-lcmocka) -lm
$(BENCH): %: %.c
	$(call show,CC)$(COMPILE) $(VIRT_CFLAGS) -o $@ $< $(LDFLAGS) $(VIRT_LIBS)

# ---- tests; what each tier needs is in tests/deps ----

# Tests of these tiers do not disturb each other, and most of their time they wait.
JOBS := $(shell nproc)
longest = $(foreach name,$(2),$(filter %/$(name).bats,$(1))) $(filter-out $(addprefix %/,$(addsuffix .bats,$(2))),$(1)) # come first
unit: $(UNIT)
	@JOBS=$(JOBS) tests/run unit $(UNIT)
sim: $(SIM)
	@tests/run sim tests/sim/peers_test tests/sim/world_test tests/sim/ours_test tests/sim/worlds "tests/sim/bench --check"
cli: all
	@JOBS=$(JOBS) tests/run cli $(call longest,$(wildcard tests/cli/*.bats),memguard install hook watch)
# Each file in a bed of its own; guests wait more than they work. A bed takes up to 4 GiB.
guests: all $(BENCH)
	@tests/guests/image >/dev/null
	@beds=$$(awk '$$1 == "MemAvailable:" { print int($$2 / 4194304) }' /proc/meminfo); [ $$beds -ge 1 ] || beds=1; \
	WITHIN=tests/guests/bed JOBS=$$((beds < $(JOBS) ? beds : $(JOBS))) tests/run guests \
	$(call longest,$(wildcard tests/guests/*.bats),guard balance shortage hook hung)

quick: all
	@$(MAKE) --no-print-directory unit sim cli

deps:
	@tests/deps build test guests lint
check:
	@tests/deps build test guests
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory quick guests
demo:
	@tests/deps build guests
	@$(MAKE) --no-print-directory -s all
	@tests/guests/demo

# The quick tier in copies of the tree: under the sanitizers, and the unit tests under valgrind.
COPY = rm -rf build/$(1) && mkdir -p build/$(1) && git ls-files -z -co --exclude-standard | \
	xargs -0 sh -c 'for f; do if [ -e "$$f" ]; then printf "%s\0" "$$f"; fi; done' sh | xargs -0 cp --parents -t build/$(1)
# Within a longer line make has another name, or make -n would run all of the line.
SUBMAKE = $(MAKE) --no-print-directory
sanitize:
	@$(call COPY,asan)
	@PROMTOOL=$(CURDIR)/build/promtool ASAN_OPTIONS=detect_leaks=1 $(SUBMAKE) -C build/asan -s quick HARDEN= \
		CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
valgrind: $(UNIT)
	@VALGRIND='valgrind -q --error-exitcode=9 --leak-check=full --track-fds=yes' JOBS=$(JOBS) tests/run valgrind $(UNIT)

lint:
	@tests/deps build test lint
	@for cc in gcc clang; do echo "lint: $$cc -Werror"; $(call COPY,$$cc) && \
		$(SUBMAKE) -C build/$$cc -s -j4 all $(UNIT) $(SIM) $(BENCH) CC=$$cc CFLAGS='-O2 -Werror' || exit 1; done
	cppcheck -q --std=c11 --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
		-D_GNU_SOURCE -Ilib lib bin hooks
	@printf '%s\n' $(wildcard lib/*.c bin/*.c hooks/*.c) | xargs -P 4 -n 4 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- \
		-std=gnu11 -D_GNU_SOURCE -DMEMSCHED_VERSION="\"\"" -Ilib $(VIRT_CFLAGS) $(XML_CFLAGS) 2>/dev/null' tidy
	shellcheck -x $(SCRIPTS)
	mandoc -T lint -W warning $(PAGES)
	@for unit in $(filter %.service,$(UNITS)); do echo "lint: $$unit"; \
		systemd-analyze security --offline=true --no-pager --threshold=20 $$unit >build/exposure || { cat build/exposure; exit 1; }; done
	clang-format --dry-run -Werror $(wildcard lib/*.[ch] bin/*.c hooks/*.c tests/unit/*.c tests/bench/*.c)
SCRIPTS := bin/memsched.bash tests/deps tests/run .ci/run hooks/install $(wildcard hooks/qemu tests/guests/bed tests/guests/demo tests/guests/image tests/bench/scenario tests/bench/pass tests/bench/guard)

# What waits for minutes to pass runs beside the rest; on a host that is filled nothing runs but what is tried.
MINUTES := $(addprefix tests/guests/long/,cron.bats units.bats)
# SOAK_SECONDS=300 has membalance and memguard together for 5 minutes, and as long alone; a minute where it is not said.
# The last ends with the host's OOM killer, after which the host has less than it says (measured: 9 MiB where 120 are usual).
STARVED := $(addprefix tests/guests/long/,starved.bats together.bats guard.bats)
check-long:
	@tests/deps build test guests lint long
	@$(MAKE) --no-print-directory all $(UNIT) $(BENCH)
	@mkdir -p build; tests/guests/image >/dev/null || exit 1; pids=; trap 'kill $$pids 2>/dev/null' EXIT; trap 'exit 130' INT TERM HUP; status=0; \
	for bats in $(MINUTES); do \
		LIMIT=1200 tests/guests/bed tests/run long $$bats >build/$${bats##*/}.log 2>&1 & pids="$$pids $$!"; done; \
	$(SUBMAKE) sanitize valgrind fuzz || status=1; \
	LIMIT=1800 tests/guests/bed tests/run long tests/guests/long/scenarios.bats || status=1; \
	for pid in $$pids; do wait $$pid || status=1; done; pids=; \
	cat $(patsubst tests/guests/long/%,build/%.log,$(MINUTES)); \
	HERD=40 LIMIT=900 tests/guests/bed tests/run long tests/guests/hung.bats || status=1; \
	STARVE=$(STARVE) LIMIT=1500 tests/guests/bed tests/run long $(STARVED) || status=1; \
	exit $$status
# Each target for FUZZ_SECONDS, side by side, from the corpus that is kept; what it finds is left in build/.
FUZZ_SECONDS ?= 60
FUZZ := $(patsubst %.c,%.fuzz,$(wildcard tests/fuzz/*.c))
tests/fuzz/domxml.fuzz: FUZZED = lib/domxml.c lib/units.c lib/text.c $(XML_CFLAGS) $(XML_LIBS) -lm
tests/fuzz/sizes.fuzz: FUZZED = lib/units.c
tests/fuzz/registry.fuzz: FUZZED = lib/registry.c lib/units.c lib/uri.c
tests/fuzz/conf.fuzz: FUZZED = lib/conf.c lib/units.c lib/text.c
tests/fuzz/host.fuzz: FUZZED = lib/host.c lib/units.c
tests/fuzz/text.fuzz: FUZZED = lib/text.c lib/json.c
%.fuzz: %.c tests/fuzz/root.h $(wildcard lib/*.[ch])
	$(call show,FUZZ)clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Ilib -o $@ $< $(FUZZED)
fuzz: $(FUZZ)
	@mkdir -p build
	@printf '%s\n' $(FUZZ:.fuzz=) | xargs -P 4 -I{} sh -c 'f=build/$$(basename {}) && mkdir -p $$f.new && \
		{ {}.fuzz $$([ ! -e {}.dict ] || echo -dict={}.dict) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -artifact_prefix=$$f- $$f.new tests/fuzz/corpus/$$(basename {}) \
		>$$f.log 2>&1 && echo "fuzz: {}: no finding in $(FUZZ_SECONDS) s"; } || { tail -n 30 $$f.log; exit 1; }'
bench: all $(BENCH)
	tests/bench/hook
	tests/bench/pass
	tests/bench/guard
	tests/bench/scenario --compare one all swap seesaw rest

# ---- installation: lays files down, and nothing else; what goes where stands in hooks/install ----

TMPFILESDIR   ?= $(PREFIX)/lib/tmpfiles.d
UNITDIR       ?= $(PREFIX)/lib/systemd/system
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
DATADIR       ?= $(PREFIX)/share/memsched
HOOK_PATH     ?= $(SYSCONFDIR)/libvirt/hooks/qemu.d/memsched
PAGES         := $(wildcard man/*.[578])
UNITS         := $(wildcard hooks/*.service hooks/*.timer)

$(foreach v,DESTDIR SBINDIR MANDIR SYSCONFDIR TMPFILESDIR UNITDIR COMPLETIONDIR DATADIR HOOK_PATH COMMANDS HELPERS UNITS PAGES,\
  $(eval install uninstall: export $v := $$($v)))
install: all
	@hooks/install install
uninstall:
	@hooks/install uninstall

clean:
	rm -rf build $(COMMANDS) $(HELPERS) $(UNIT) $(SIM) $(BENCH) lib/libmemsched.a
	rm -f lib/*.[od] bin/*.[od] hooks/*.[od] tests/*/*.[od]

-include $(wildcard lib/*.d bin/*.d hooks/*.d tests/*/*.d)
bench-policy: tests/sim/bench
	@tests/sim/bench

.PHONY: all fuzz unit sim cli bench-policy guests quick deps check demo sanitize valgrind lint check-long bench install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:
