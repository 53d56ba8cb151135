# memsched: moves host memory between the running KVM guests of one libvirt host.
#   make            builds the commands beside their sources
#   make demo       installs what is needed, boots four small guests and balances them   (root)
#   make check      installs what is needed and runs the tests, real guests included      (root)
# The rest: deps quick check-long lint fuzz bench bench-policy install uninstall clean

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

COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -DMEMSCHED_VERSION='"$(VERSION)"' -Ilib $(WARNINGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS) -pthread -MMD -MP
LINK    = $(CC) $(HARDEN_LD) $(CFLAGS) -pthread $(LDFLAGS)

# Who links what: the pure modules stand alone, the hook's helper never sees libvirt.
PURE     := lib/units.o lib/estimate.o lib/policy.o
LIB      := $(patsubst %.c,%.o,$(wildcard lib/*.c))
HOOK     := lib/units.o lib/domxml.o lib/registry.o lib/conf.o lib/text.o
COMMANDS := $(patsubst %.c,%,$(wildcard bin/*.c))
HELPERS  := $(patsubst %.c,%,$(wildcard hooks/*.c))
UNIT     := $(patsubst %.c,%.test,$(wildcard tests/unit/*.c))
PUREUNIT := $(filter tests/unit/units.test tests/unit/estimate.test tests/unit/policy.test,$(UNIT))
BENCH    := $(patsubst %.c,%,$(wildcard tests/bench/*.c))

all: $(COMMANDS) $(HELPERS)

lib/virt%.o: COMPILE += $(VIRT_CFLAGS)
lib/domxml.o: COMPILE += $(XML_CFLAGS)
%.o: %.c
	$(COMPILE) -c -o $@ $<

lib/libmemsched.a: $(LIB)
	rm -f $@ && $(AR) rcs $@ $^

$(COMMANDS): %: %.o lib/libmemsched.a
	$(LINK) -o $@ $^ $(VIRT_LIBS) $(XML_LIBS) -lm
$(HELPERS): %: %.o $(HOOK)
	$(LINK) -o $@ $^ $(XML_LIBS)

tests/unit/%.test: LIBS = -lcmocka
$(PUREUNIT): %.test: %.o $(PURE)
	$(LINK) -o $@ $^ $(LIBS) -lm
$(filter-out $(PUREUNIT),$(UNIT)): %.test: %.o lib/libmemsched.a
	$(LINK) -o $@ $^ $(LIBS) $(VIRT_LIBS) $(XML_LIBS) -lm
$(BENCH): %: %.c
	$(COMPILE) $(VIRT_CFLAGS) -o $@ $< $(LDFLAGS) $(VIRT_LIBS)

clean:
	git clean -qfdX -e '!.vscode' . 2>/dev/null || rm -rf build $(COMMANDS) $(HELPERS) $(UNIT) $(BENCH) lib/*.[oad] bin/*.[od] hooks/*.[od]

-include $(wildcard lib/*.d bin/*.d hooks/*.d tests/*/*.d)
.PHONY: all clean
.DELETE_ON_ERROR:
