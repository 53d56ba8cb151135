# SPDX-License-Identifier: MIT
# The tests and what checks the sources; tests/deps installs what each tier needs.
#   quick       unit, sim and cli: no root, no guests
#   guests      real guests in a private libvirtd
#   check       quick and guests without the tags "more" and "long", after installing what is needed
#   check-more  what CI tests besides: make install, packages, worlds, faults, guests with the tag "more"
#   check-long  what takes longer; STARVE=yes fills the host too
#   lint sanitize valgrind fuzz bench bench-policy

UNIT     := $(patsubst %.c,%.test,$(wildcard tests/unit/*.c))
PUREUNIT := $(filter $(addprefix tests/unit/,$(notdir $(PURE:.o=.test))),$(UNIT))
SIM      := $(addprefix tests/sim/,peers_test world_test ours_test fit_test worlds bench)
SIMPARTS := $(filter-out $(addsuffix .o,$(SIM)),$(patsubst %.c,%.o,$(wildcard tests/sim/*.c)))
BENCH    := $(patsubst %.c,%,$(wildcard tests/bench/*.c))
FUZZ     := $(patsubst %.c,%.fuzz,$(wildcard tests/fuzz/*.c))
PRELOAD  := tests/faults/inject.so tests/faults/remote.so
TESTS    := $(PRELOAD) $(UNIT) $(SIM) $(BENCH) $(FUZZ)

# ---- programs ----

# What a unit test replaces, by its own function or that of a library; -D_FILE_OFFSET_BITS=64 gives some of the C
# library another name.
tests/unit/monitor.test: WRAPPED := clock_gettime virt_open virt_list virt_set
tests/unit/snapshot.test: WRAPPED := virt_open virt_list virt_read virt_set_period virt_set
tests/unit/io.test: WRAPPED := realloc clock_gettime
tests/unit/memlock.test: WRAPPED := getrlimit64
tests/unit/wakeup.test: WRAPPED := fstatfs64 write
tests/unit/registry.test: WRAPPED := nanosleep fstatat64
tests/unit/candidate.test: WRAPPED := table_write virt_open virt_close
tests/unit/on_critical.test: WRAPPED := stat64
tests/unit/movelog.test: WRAPPED := write
tests/unit/virt.test: WRAPPED := virNodeGetMemoryStats virConnectGetCapabilities virGetLastError clock_gettime
tests/unit/history.test tests/unit/recorder.test: WRAPPED := pwrite64
# The compiler takes half as long as with -O2, and the tests as long as before (10000 worlds: 19 s for 18).
ifeq ($(origin CFLAGS),file)
$(UNIT:.test=.o) $(SIM:=.o) $(SIMPARTS): CFLAGS = -O1 -g
endif
$(UNIT): LIBS = -lcmocka $(addprefix -Wl$(comma)--wrap=,$(WRAPPED))
comma := ,
tests/unit/domxml.o tests/unit/timeline.o: COMPILE += $(XML_CFLAGS)
tests/unit/domxml.o tests/unit/virt.o: COMPILE += $(VIRT_CFLAGS)

# The linker proves that what decides is pure: its tests have base and plan alone.
$(PUREUNIT): %.test: %.o $(PURE)
	$(call show,LD)$(LINK) -o $@ $^ $(LIBS) -lm
$(filter-out $(PUREUNIT),$(UNIT)): %.test: %.o lib/libmemsched.a
	$(call show,LD)$(LINK) -o $@ $^ $(LIBS) $(VIRT_LIBS) $(XML_LIBS) -lm
tests/sim/%.o: COMPILE += -Itests/sim
$(SIM): %: %.o $(SIMPARTS) $(PURE) lib/run/balance.o lib/run/snapshot.o lib/host/conf.o lib/host/section.o lib/host/proc.o
	$(call show,LD)$(LINK) -o $@ $^ $(if $(filter %_test,$@),-lcmocka) -lm
# With 64-bit offsets, open would be another name of open64, and it stands for both. A sanitizer's runtime must come before
# them, so they have none.
$(PRELOAD): %.so: %.c
	$(call show,CC)$(CC) $(FLAGS) $(VIRT_CFLAGS) -U_FILE_OFFSET_BITS $(WARNINGS) \
		$(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS)) -shared -fPIC -o $@ $< $(LDFLAGS)
$(BENCH): %: %.c
	$(call show,CC)$(COMPILE) $(VIRT_CFLAGS) -o $@ $< $(LDFLAGS) $(VIRT_LIBS)

# ---- tiers ----

# Tests of these tiers do not disturb each other, and those of unit and cli wait much of their time; not so with
# sanitizers, which have them compute.
JOBS = $(shell nproc)
MANY = $(shell expr $(if $(findstring fsanitize,$(CFLAGS)),1,4) \* $(JOBS))
# longest FILES,NAMES: FILES with those of NAMES first.
longest = $(foreach name,$(2),$(filter %/$(name).bats,$(1))) $(filter-out $(addprefix %/,$(addsuffix .bats,$(2))),$(1))
# atonce N: so many jobs, unless the caller said how many.
atonce = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(1) -O)
# A target within a longer line has another name for make, or make -n would run all of the line.
SUBMAKE = $(MAKE) --no-print-directory

unit: $(UNIT)
	@JOBS=$(MANY) tests/run unit tests/layers $(UNIT)
sim: $(SIM)
	@tests/run sim $(addprefix tests/sim/,peers_test world_test ours_test fit_test) "tests/sim/worlds --worlds 2000" "tests/sim/bench --check"
cli: all $(PRELOAD)
	@JOBS=$(MANY) tests/run cli $(if $(findstring fsanitize,$(CFLAGS)),"tests/faults/provoke --sample") $(call longest,$(wildcard tests/cli/*.bats),memguard_without memguard_loop watch hook memstat membalance)
# Each file has a bed of its own, which takes 2.5 GiB. Guests wait half of their time.
# Tests with the tag "more" are for check-more, those with "long" for check-long. A file of which all tests are left out is, too.
GUESTS := $(wildcard tests/guests/*.bats)
WANTED = $(filter-out !%,$(subst $(comma), ,$(TAGS)))
UNWANTED = $(patsubst !%,%,$(filter !%,$(subst $(comma), ,$(TAGS))))
TAGGED = $(filter-out $(foreach tag,$(UNWANTED),$(shell grep -l 'file_tags=.*\<$(tag)\>' $(GUESTS))), \
	$(if $(WANTED),$(shell grep -l '_tags=.*\<$(WANTED)\>' $(GUESTS)),$(GUESTS)))
guests: all $(BENCH)
	@tests/guests/image >/dev/null
	@beds=$$(awk -v most=$$((3 * $(JOBS))) '$$1 == "MemAvailable:" { n = int($$2 / 2621440) } \
		END { print n < 1 ? 1 : n < most ? n : most }' /proc/meminfo); \
	WITHIN=tests/guests/bed LIMIT=1200 JOBS=$$beds tests/run guests \
		$(call longest,$(TAGGED),hook guard balance hung hints)
quick: all
	@$(SUBMAKE) $(call atonce,3) unit sim cli

deps:
	@tests/deps build test guests lint
check:
	@tests/deps build test guests
	@$(SUBMAKE) $(call atonce,$(JOBS)) all $(UNIT) $(SIM) $(BENCH) $(PRELOAD)
	@$(SUBMAKE) quick
	@$(SUBMAKE) guests TAGS='!long,!more'
check-more:
	@tests/deps build test guests
	@$(SUBMAKE) $(call atonce,$(JOBS)) all $(SIM) $(BENCH) $(PRELOAD)
	@JOBS=$(MANY) tests/run install $(wildcard tests/install/*.bats)
	@JOBS=$(JOBS) tests/run more "tests/sim/worlds --worlds 10000" "tests/faults/provoke --sample"
	@$(SUBMAKE) guests TAGS='more,!long'
demo:
	$(if $(filter 0,$(shell id -u)),,$(error make demo needs root: try sudo make demo))
	@tests/deps build guests
	@$(SUBMAKE) -s $(call atonce,$(JOBS)) all tests/bench/fill
	@tests/guests/demo

# Tests that wait for minutes to pass run beside the rest; nothing runs beside those that fill the host.
# SOAK_SECONDS=300 has membalance and memguard together for 5 minutes, and as long alone; else it is one.
# The last ends with the host's OOM killer, after which the host has less than it says (measured: 9 MiB
# of 120). Ends with a table of the figures, which is kept in build/check-long.txt.
FIGURES := $(CURDIR)/build/figures
MINUTES := $(addprefix tests/guests/long/,cron.bats units.bats)
STARVED := $(addprefix tests/guests/long/,starved.bats together.bats guard.bats)
check-long:
	@tests/deps build test guests lint long
	@$(SUBMAKE) all $(UNIT) $(BENCH) $(PRELOAD)
	@mkdir -p build; rm -f $(FIGURES); tests/guests/image >/dev/null || exit 1; \
	export FIGURES=$(FIGURES); pids=; trap 'kill $$pids 2>/dev/null' EXIT; trap 'exit 130' INT TERM HUP; status=0; \
	for bats in $(MINUTES); do \
		LIMIT=1200 tests/guests/bed tests/run long $$bats >build/$${bats##*/}.log 2>&1 & pids="$$pids $$!"; \
	done; \
	$(SUBMAKE) sanitize valgrind fuzz || status=1; \
	LIMIT=3600 tests/run long tests/faults/provoke || status=1; \
	$(SUBMAKE) guests TAGS=long || status=1; \
	LIMIT=900 tests/run long tests/guests/long/picture.bats || status=1; \
	LIMIT=1800 tests/guests/bed tests/run long tests/guests/long/scenarios.bats || status=1; \
	LIMIT=1800 tests/guests/bed tests/run long tests/guests/long/claims.bats || status=1; \
	tests/guests/debian >/dev/null || status=1; \
	LIMIT=3600 tests/guests/bed tests/run long tests/guests/long/debian.bats || status=1; \
	LIMIT=900 tests/guests/bed tests/run long tests/guests/long/fit.bats || status=1; \
	LIMIT=1800 tests/guests/bed tests/run long tests/install/packages.bats tests/guests/long/packages.bats || status=1; \
	for pid in $$pids; do wait $$pid || status=1; done; pids=; \
	cat $(patsubst tests/guests/long/%,build/%.log,$(MINUTES)); \
	HERD=40 LIMIT=900 tests/guests/bed tests/run long tests/guests/hung.bats || status=1; \
	STARVE=$(STARVE) LIMIT=1500 tests/guests/bed tests/run long $(STARVED) || status=1; \
	tests/figures $(FIGURES) | tee build/check-long.txt; exit $$status

# ---- what checks the sources ----

# copy NAME: the sources as they are now in build/NAME.
copy = rm -rf build/$(1) && mkdir -p build/$(1) && git ls-files -z -co --exclude-standard | \
	xargs -0 sh -c 'for f; do if [ -e "$$f" ]; then printf "%s\0" "$$f"; fi; done' sh | \
	xargs -0 cp --parents -t build/$(1)
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize:
	@$(call copy,asan)
	@PROMTOOL=$(CURDIR)/build/promtool ASAN_OPTIONS=detect_leaks=1 $(SUBMAKE) -C build/asan -s quick HARDEN= \
		CFLAGS='-O1 -g $(SANITIZERS) -fno-omit-frame-pointer'
valgrind: $(UNIT)
	@VALGRIND='valgrind -q --error-exitcode=9 --leak-check=full --track-fds=yes' JOBS=$(JOBS) \
		tests/run valgrind $(UNIT)

SOURCES := $(wildcard lib/*/*.c bin/*.c hooks/*.c)
# The headers of the libraries and of the kernel, apart from those of glibc: musl must not find these beside them.
HEADERS := $(wildcard $(addprefix /usr/include/,libvirt libxml2/libxml unicode linux))
SCRIPTS := bin/memsched.bash tests/deps tests/run tests/layers tests/figures .ci/run hooks/install hooks/package $(wildcard hooks/deb/p* hooks/qemu \
	tests/guests/bed tests/guests/demo tests/guests/debian tests/guests/debian-agent tests/guests/image tests/bench/scenario tests/bench/pass tests/bench/rest tests/bench/history tests/bench/guard)
lint:
	@tests/deps build test lint
	@for cc in gcc clang; do echo "lint: $$cc -Werror"; $(call copy,$$cc) && \
		$(SUBMAKE) -C build/$$cc -s -j4 all $(UNIT) $(SIM) $(BENCH) CC=$$cc CFLAGS='-O2 -Werror' || exit 1; done
	@rm -rf build/headers && mkdir -p build/headers && ln -s $(HEADERS) build/headers/
	@for cc in 'gcc -m32' musl-gcc; do echo "lint: $$cc -Werror"; \
		$$cc -fsyntax-only -Werror $(filter-out -Wconversion,$(WARNINGS)) $(FLAGS) -Ibuild/headers \
		$(SOURCES) || exit 1; done
	cppcheck -q --std=c11 --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
		-D_GNU_SOURCE -Ilib lib bin hooks
	@printf '%s\n' $(SOURCES) | xargs -P 4 -n 4 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- \
		-std=gnu11 -D_GNU_SOURCE -DMEMSCHED_VERSION="\"\"" -Ilib $(VIRT_CFLAGS) $(XML_CFLAGS) 2>/dev/null' tidy
	shellcheck -x $(SCRIPTS)
	shellcheck -i SC2314,SC2315 tests/*/*.bats # a '!' that fails no test
	mandoc -T lint -W warning $(PAGES)
	@for unit in $(filter %.service,$(UNITS)); do echo "lint: $$unit"; \
		systemd-analyze security --offline=true --no-pager --threshold=20 $$unit >build/exposure || \
		{ cat build/exposure; exit 1; }; done
	clang-format --dry-run -Werror $(SOURCES) $(wildcard lib/*/*.h tests/unit/*.[ch] tests/bench/*.c tests/faults/*.c)

# Each target runs for FUZZ_SECONDS from the corpus that is kept; its findings are left in build/.
FUZZ_SECONDS ?= 60
FUZZED := $(patsubst lib/%.c,build/fuzz/%.o,$(filter-out %/libvirt.c %/virt.c %/caller.c,$(wildcard $(addprefix lib/,base/*.c plan/*.c host/*.c \
	virt/*.c))))
FUZZCC = clang $(FLAGS) -g -O1 -fsanitize=fuzzer-no-link $(SANITIZERS) $(XML_CFLAGS)
build/fuzz/%.o: lib/%.c $(wildcard lib/*/*.h)
	@mkdir -p $(@D)
	@$(FUZZCC) -c -o $@ $<
%.fuzz: %.c tests/fuzz/root.h $(FUZZED)
	$(call show,FUZZ)$(FUZZCC) -fsanitize=fuzzer -o $@ $< $(FUZZED) $(XML_LIBS) -lm
fuzz: $(FUZZ)
	@mkdir -p build
	@printf '%s\n' $(FUZZ:.fuzz=) | xargs -P 4 -I{} sh -c 'f=build/$$(basename {}) && mkdir -p $$f.new && \
		{ {}.fuzz $$([ ! -e {}.dict ] || echo -dict={}.dict) -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=$$f- $$f.new tests/fuzz/corpus/$$(basename {}) >$$f.log 2>&1 && \
		echo "fuzz: {}: no finding in $(FUZZ_SECONDS) s"; } || { tail -n 30 $$f.log; exit 1; }'

bench: all $(BENCH)
	tests/bench/hook
	tests/bench/pass
	tests/bench/rest
	tests/bench/history
	tests/bench/guard
	tests/bench/scenario --compare one all swap seesaw rest
bench-policy: tests/sim/bench
	@tests/sim/bench

.PHONY: unit sim cli guests quick deps check check-more demo check-long sanitize valgrind lint fuzz bench bench-policy
