//! `ctr task checkpoint`: containerd's runc shim has the runtime write a container, and end it.

use integration::{criu, skip};

use crate::{CTR, asleep};

#[test]
fn a_checkpoint_may_be_the_end() {
    if let Err(why) = criu::working() {
        skip(why);
        return;
    }
    let name = asleep("checkpointed-ends", "");
    let images = CTR.room().path("images");
    CTR.output(&format!("ctr task checkpoint --exit --image-path {images} {name}"));
    CTR.comes_to(&format!("ctr task ls | grep '^{name} ' | tr -s ' ' | cut -d' ' -f3"), "STOPPED");
    CTR.output(&format!("ls {images}/inventory.img && ctr task rm {name}"));
}
