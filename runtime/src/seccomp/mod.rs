//! seccomp.
