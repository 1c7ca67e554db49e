//! What Kubernetes does with our shim: each test asks containerd's CRI for what a kubelet asks, for a handler that is
//! our shim. It must never ask the shim directly.

mod client;
mod container;
mod pod;
mod stream;
mod streaming;
mod survival;

use std::sync::LazyLock;

use integration::engine::Containerd;

/// The containerd of this test program.
static ENGINE: LazyLock<Containerd> = LazyLock::new(Containerd::for_kubernetes);
