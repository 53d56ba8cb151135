# SPDX-License-Identifier: MIT
# memsched: moves host memory between the running KVM guests of one libvirt host.
#   make            builds the commands beside their sources
#   make demo       installs what is needed, boots four small guests, makes memory scarce (root)
#   make check      installs what is needed and runs the tests, real guests included      (root)
#   make deb, make rpm and make dist    build packages and the tarball: hooks/package
#   make install    lays files down, and nothing else; hooks/install has the list
# The rest of the targets, tests and lint, is in tests/tests.mk.

PREFIX        ?= /usr
SBINDIR       ?= $(PREFIX)/sbin
MANDIR        ?= $(PREFIX)/share/man
SYSCONFDIR    ?= /etc
TMPFILESDIR   ?= $(PREFIX)/lib/tmpfiles.d
UNITDIR       ?= $(PREFIX)/lib/systemd/system
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR        ?= $(PREFIX)/share/zsh/$(if $(wildcard /etc/debian_version),vendor-completions,site-functions)
FISHDIR       ?= $(PREFIX)/share/fish/vendor_completions.d
DOCDIR        ?= $(PREFIX)/share/doc/memsched
DATADIR       ?= $(PREFIX)/share/memsched
HOOK_PATH     ?= $(SYSCONFDIR)/libvirt/hooks/qemu.d/memsched
DESTDIR       ?=
# Goes before the name of each command, if another package has a memstat: memsched- gives memsched-memstat.
PROGRAM_PREFIX ?=
VERSION       := 0.2

CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config
WARNINGS   ?= -Wall -Wextra -Wshadow -Wconversion -Wformat=2

# Hardening of the OpenSSF guide, as far as this compiler has it, found out when something is compiled.
# HARDEN= is for sanitizer builds. A distribution that sets _FORTIFY_SOURCE in its flags chooses the level.
has = $(shell $(CC) -Werror -O2 -Wformat $(1) -x c -o /dev/null -c - </dev/null >/dev/null 2>&1 && echo '$(1)')
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-D_FORTIFY_SOURCE=3)
ifndef HARDEN
HARDEN = $(eval HARDEN := -fPIE $(foreach flag,$(FORTIFY) -fstack-clash-protection \
	-fstack-protector-strong -fcf-protection=full -fno-delete-null-pointer-checks \
	-fno-strict-overflow -ftrivial-auto-var-init=zero -Werror=format-security -Werror=implicit \
	-Werror=incompatible-pointer-types -Werror=int-conversion,$(call has,$(flag))))$(HARDEN)
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
endif

XML_CFLAGS  = $(shell $(PKG_CONFIG) --cflags libxml-2.0)
XML_LIBS    = $(shell $(PKG_CONFIG) --libs libxml-2.0)
VIRT_CFLAGS = $(shell $(PKG_CONFIG) --cflags libvirt)
VIRT_LIBS   = $(shell $(PKG_CONFIG) --libs libvirt)

# One short line a step. V=1 shows the commands, -s nothing.
ifndef V
show = $(if $(findstring s,$(firstword -$(MAKEFLAGS))),@,@echo '  $(1) $@';)
endif
FLAGS   = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DMEMSCHED_VERSION='"$(VERSION)"' -Ilib
COMPILE = $(CC) $(FLAGS) $(WARNINGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS) -pthread -MMD -MP
LINK    = $(CC) $(HARDEN_LD) $(CFLAGS) -pthread $(LDFLAGS)

# The layers, each of which uses only those to its left; host and virt do not use each other.
LAYERS   := base plan host virt run show cli
LIB      := $(patsubst %.c,%.o,$(wildcard $(LAYERS:%=lib/%/*.c)))
PURE     := $(filter lib/base/% lib/plan/%,$(LIB))
COMMANDS := $(patsubst %.c,%,$(wildcard bin/*.c))
HELPERS  := $(patsubst %.c,%,$(wildcard hooks/*.c))

all: $(COMMANDS) $(HELPERS)

lib/virt/libvirt.o: COMPILE += $(VIRT_CFLAGS)
lib/virt/domxml.o: COMPILE += $(XML_CFLAGS)
%.o: %.c
	$(call show,CC)$(COMPILE) -c -o $@ $<

lib/libmemsched.a: $(LIB)
	$(call show,AR)rm -f $@ && $(AR) rcs $@ $^

# The hook's helper never links libvirt.
$(COMMANDS): %: %.o lib/libmemsched.a
	$(call show,LD)$(LINK) -o $@ $^ $(VIRT_LIBS) $(XML_LIBS) -lm
$(HELPERS): %: %.o lib/libmemsched.a
	$(call show,LD)$(LINK) -o $@ $^ $(XML_LIBS)

PAGES := $(wildcard man/*.[578])
EXAMPLES := $(wildcard man/*.yml man/*.json)
UNITS := $(wildcard hooks/*.service hooks/*.timer)
$(foreach v,DESTDIR SBINDIR MANDIR SYSCONFDIR TMPFILESDIR UNITDIR COMPLETIONDIR ZSHDIR FISHDIR DOCDIR \
	DATADIR HOOK_PATH PROGRAM_PREFIX COMMANDS HELPERS UNITS PAGES EXAMPLES,$(eval install uninstall: export $v := $$($v)))
install: all
	@hooks/install install
uninstall:
	@hooks/install uninstall
deb rpm: all
deb rpm dist:
	@VERSION=$(VERSION) MAKE='$(MAKE)' hooks/package $@

clean:
	rm -rf build $(COMMANDS) $(HELPERS) $(TESTS) lib/libmemsched.a
	rm -f lib/*/*.[od] bin/*.[od] hooks/*.[od] tests/*/*.[od]

include tests/tests.mk
-include $(wildcard lib/*/*.d bin/*.d hooks/*.d tests/*/*.d)

.PHONY: all install uninstall deb rpm dist clean
.DELETE_ON_ERROR .SECONDARY:
