//! Seccomp profiles as JSON, a comment for each rule.
