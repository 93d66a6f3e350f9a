# The few commands a person types; everything else is CMake (presets in CMakePresets.json).
.DEFAULT_GOAL := help
.PHONY: deps build run test test-long bench bench-gate report-plots perf lint fmt clean help

JOBS ?= $(shell nproc)
DEBIAN_ROOT := tools/debian-root --into build/debian-riscv64 --list deps/debian-riscv64.txt

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

deps: ## install the Debian packages of deps/apt.txt that are missing
	@deps/install

build: deps ## release build with its tests, leaves build/release/bin/caisson
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release --parallel $(JOBS)

run: deps ## run real programs: C++, busybox, Lua, SQL, Python, each with its gas
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release --parallel $(JOBS) --target caisson
	@$(DEBIAN_ROOT) || echo 'run: without Debian programs only the C++ program runs'
	@tools/run-examples

test: build ## every test, of the release build
	@$(DEBIAN_ROOT) || echo 'tests: without Debian programs the tests in tests/debian are skipped'
	@ctest --preset release --parallel $(JOBS) --output-log build/release/test.log

test-long: build ## Debian's programs with every block compiled by the optimising tier, about fifteen minutes
	@$(DEBIAN_ROOT)
	@ctest --preset release --parallel $(JOBS) -C Long -R '^debian\..*\.optimized$$'

bench: build ## measure; for options: build/release/bin/caisson bench --help
	@build/release/bin/caisson bench

bench-gate: build ## count instructions of small fixed runs, compare with bench/baseline-instructions.json
	@tools/bench-gate

report-plots: deps ## by npm: a plotting library for the page of caisson bench --html, and build with it
	@tools/report-plots
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release --parallel $(JOBS) --target caisson

perf: deps ## release code with path counters, and symbols for perf(1), leaves build/perf/bin/caisson
	@cmake --preset perf --log-level=WARNING
	@cmake --build --preset perf --parallel $(JOBS) --target caisson caisson_plugin caisson-compile-helper guest_programs

lint: deps ## format, clang-tidy, include directions, names in the documentation
	@tools/lint

fmt: deps ## format the sources in place
	@git ls-files '*.h' '*.cpp' | xargs -r clang-format-19 -i

clean: ## remove what was built; fetched Debian programs stay
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name 'debian-riscv64*' -exec rm -rf {} +
