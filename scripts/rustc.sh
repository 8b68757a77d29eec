#!/bin/sh
# Compiles the crates of this workspace: cargo runs it in rustc's place (.cargo/config.toml). The code of tests is not optimised: what
# the tests take to run, the libraries and the program decide, which are; what they took to compile was ten times as much.
compile=$1
shift
for argument in "$@"; do
    if [ "$argument" = --test ]; then
        exec "$compile" "$@" -C opt-level=0
    fi
done
exec "$compile" "$@"
