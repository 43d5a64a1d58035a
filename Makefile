# SPDX-License-Identifier: MIT
# The front door: each target sets up what it needs (tools/setup) and leaves the work to Meson.
#
#   make                          build into build/
#   make demo                     see it work
#   make check                    all tests, under 3 minutes
#   make check-all                every compiler, sanitizer and machine (about 20 minutes)
#   make check-long               fuzzing, soaks and coverage, run before a release
#   make bench                    figures, also in build/bench.json
#   make install PREFIX= DESTDIR=
#   make clean

BUILD = build
PREFIX = /usr/local
DESTDIR =

# What one target needs is configured into the one build folder, and stays there.
configure = tools/configure $(BUILD)

all:
	@tools/setup build
	@$(configure) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD)

demo:
	@tools/setup build demo
	@$(configure) -Dexamples=true
	@ninja -C $(BUILD)
	@tools/demo $(BUILD)

# Most tests wait more than they compute.
check:
	@tools/setup build check
	@$(configure) -Dtests=true -Dexamples=true
	@ninja -C $(BUILD)
	@tools/run-tests $(BUILD) --num-processes $$((2 * $$(nproc)))

check-all:
	@tools/setup build check check-all
	@tools/check-all $(BUILD)

check-long:
	@tools/setup build check check-all check-long
	@tools/check-long $(BUILD)

bench:
	@tools/setup build bench
	@$(configure) -Dbench=true -Dexamples=true
	@ninja -C $(BUILD)
	@tools/bench $(BUILD)

install: all
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")

clean:
	rm -rf $(BUILD)

.PHONY: all demo check check-all check-long bench install clean
