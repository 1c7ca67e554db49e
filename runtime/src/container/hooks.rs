//! Runs the commands of config.json's `hooks` with the state on their standard input.
