# What can be done with this tree, one target each; CI runs the same targets and nothing else.
# Nothing here may start a service, or touch anything outside the tree, PREFIX and the system's packages.

PREFIX  ?= /usr/local
DESTDIR ?=
TESTS   ?=
TIME    ?= 60
MUTANTS ?=
BENCH   ?=

export PATH := $(PATH):$(HOME)/.cargo/bin
export TARGET_TRIPLE = $(shell integration/scripts/target)
STEP := integration/scripts/step
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)

# Of make conformance: which suite, where its checkout is, and which of its files. Of a virtual machine: Debian's suite.
SUITE ?=
SRC   ?=
FILES ?=
export SUITE SRC FILES

.PHONY: help build run test mutants bench bench-shim conformance lint deny install uninstall clean deps deps-build deps-lint deps-run \
	deps-dist deps-full dist faults fuzz soak reproducible vm-image test-v2 test-v2-full

help:
	@echo 'make build      the static release binaries, bin/pinnace and bin/containerd-shim-pinnace-v2'
	@echo 'make run        a container from busybox, run by bin/pinnace'
	@echo 'make test       clippy, unit tests, and everything the engines are asked (root; TESTS="docker ctr" picks some)'
	@echo 'make bench      what containers cost, beside crun and runc, into docs/performance.md (root; BENCH="--rounds 10")'
	@echo 'make bench-shim   what containers cost containerd, beside its own shim; into the same page (root; ROUNDS=20)'
	@echo 'make test-v2    the integration tests in a virtual machine with cgroup v2 and systemd; make test has them too'
	@echo 'make test-v2-full   the same with a full kernel, in qemu: slow; SUITE=forky takes a newer Debian for both'
	@echo 'make vm-image   the image that those boot, built once'
	@echo 'make mutants    leaves each defence out, in a build for that alone: does its test notice? (root; MUTANTS=seal picks)'
	@echo 'make conformance SUITE=bats|validation SRC=DIR [FILES=...]   a suite of the field, from a checkout beside this tree'
	@echo 'make lint       rustfmt and clippy'
	@echo 'make faults     every system call of create, run, exec and the rest killed and refused: half an hour (root)'
	@echo 'make fuzz TIME=60   each reader of what others wrote, so many seconds with inputs made up; what fails is kept'
	@echo 'make soak       10000 containers and 10000 execs: nothing is left of them (root; nothing else should run)'
	@echo 'make deny       licences, advisories and doubled crates; installs cargo-deny below target'
	@echo 'make reproducible   two builds of the last commit in two folders, and that they are the same'
	@echo 'make deps       the Debian packages and the Rust target that the above need'
	@echo 'make install    what is in bin to $$(DESTDIR)$$(PREFIX)/bin; uninstall takes it away'
	@echo 'make dist       static binaries, the list of their parts and the sha256 of both in target/dist'
	@echo 'make clean      what was built'

deps:
	@$(STEP) 'packages and toolchain for everything' integration/scripts/deps build run test

deps-build:
	@$(STEP) 'toolchain' integration/scripts/deps build

deps-lint:
	@$(STEP) 'toolchain to compile the tests' integration/scripts/deps build lint

deps-run:
	@$(STEP) 'packages to run an example' integration/scripts/deps build run

deps-full:
	@$(STEP) 'packages and toolchain for everything, and qemu' integration/scripts/deps build run test vm-full

build: deps-build
	@$(STEP) 'static release binaries' integration/scripts/build

run: deps-run build
	@$(STEP) 'a container from busybox' integration/scripts/run-example

test: deps build
	@integration/scripts/test $(TESTS)

bench: deps build
	@$(STEP) 'bench' integration/scripts/bench $(BENCH)

bench-shim: deps build
	@$(STEP) 'bench of the shim' integration/scripts/bench-shim

vm-image: deps
	@$(STEP) 'image of the virtual machine' integration/vm/image

test-v2: deps build
	@INSIDE='$(TESTS)' integration/scripts/test v2

test-v2-full: deps-full build
	@INSIDE='$(TESTS)' integration/scripts/test v2-full

mutants: deps
	@$(STEP) 'mutants: does a test notice each defence that is left out?' integration/scripts/mutants $(MUTANTS)

conformance: build
	@$(STEP) 'conformance: $(or $(SUITE),bats)' integration/conformance/run

lint: deps-lint
	@$(STEP) 'rustfmt' cargo fmt --all --check
	@$(STEP) 'clippy' integration/scripts/clippy

faults: deps build
	@$(STEP) 'every fault' integration/scripts/alone faults PINNACE_FAULTS=all

fuzz: deps-lint
	@$(STEP) 'fuzzing' integration/scripts/fuzz $(TIME)

soak: deps build
	@$(STEP) 'soak' integration/scripts/alone soak PINNACE_SOAK=10000

deny: deps-build
	@$(STEP) 'licences, advisories, doubled crates' integration/scripts/deny

reproducible: deps-build deps-dist
	@$(STEP) 'two builds' integration/scripts/reproducible

install: build
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin bin/pinnace bin/containerd-shim-pinnace-v2

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/pinnace $(DESTDIR)$(PREFIX)/bin/containerd-shim-pinnace-v2

deps-dist:
	@$(STEP) 'packages to pack' integration/scripts/deps dist

dist: deps-dist build
	@$(STEP) 'archive' integration/scripts/dist

clean:
	rm -rf bin $(TARGET_DIR)
