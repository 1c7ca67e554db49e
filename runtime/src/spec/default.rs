//! The config.json that `pinnace spec` writes. Only data.

use super::Spec;

/// The bundle that `spec` makes: a shell in a root file system, as runc has it; `rootless` maps the caller to root.
pub fn default_spec(_rootless: bool) -> Spec {
    Spec::default()
}
