//! Which way the container comes to its cgroup: by its path, or as a scope that systemd makes. What is made is in the
//! intent before.

use std::collections::BTreeMap;

use super::dir::{Dir, Intent};
use super::id::Id;
use super::{CreateOptions, Runtime};
use crate::cgroup::{Cgroup, Request, Unit};
use crate::error::Result;
use crate::plan::Plan;

/// crun's annotation: the container is in this cgroup below its scope, so that the scope itself stays systemd's.
const SUBGROUP: &str = "run.oci.systemd.subgroup";

/// Where the container's cgroup is to be.
pub(super) enum Place {
    /// At these paths.
    Paths(Cgroup),
    /// Wherever systemd has this unit.
    Unit(Unit),
}

impl Place {
    /// Makes nothing.
    pub fn decide(runtime: &Runtime, id: &Id, options: &CreateOptions, plan: &Plan) -> Result<Self> {
        let linux = plan.linux();
        let path = linux.cgroups_path.as_deref();
        if runtime.systemd_cgroup || options.systemd_by_path && path.is_some_and(Unit::is_meant) {
            return Unit::decide(id.as_str(), path, Cgroup::is_users()).map(Self::Unit);
        }
        if runtime.no_cgroup {
            return Ok(Self::Paths(Cgroup::none()));
        }
        Ok(Self::Paths(Cgroup::place(id.as_str(), path)?.rootless(runtime.rootless)))
    }

    /// The cgroup, of which a unit's stands when this returns.
    pub async fn settle(
        self,
        options: &CreateOptions,
        plan: &Plan,
        dir: &Dir,
    ) -> Result<(Cgroup, Option<Unit>)> {
        let unit = match self {
            Self::Paths(cgroup) => return Ok((cgroup, None)),
            Self::Unit(unit) => unit,
        };
        dir.write_intent(&Intent::now(&options.bundle, BTreeMap::new(), Some(&unit))?)?;
        let linux = plan.linux();
        let annotations = &plan.spec.annotations;
        let resources = linux.resources.clone().unwrap_or_default();
        let request = Request { id: dir.id().as_str(), resources: &resources, annotations };
        let below = annotations.get(SUBGROUP).map_or("", String::as_str);
        Ok((Cgroup::in_scope(unit.clone(), &request, below).await?, Some(unit)))
    }
}
