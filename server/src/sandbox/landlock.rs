//! The kernel's side of it.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::Needs;

/// What is refused is what this version knows; an older kernel refuses what it can.
const KNOWN: ABI = ABI::V6;

/// Errors with why nothing holds the process.
pub(super) fn hold(needs: &Needs) -> Result<&'static str, &'static str> {
    let status = restrict(needs).map_err(|_| "the kernel took none of its rules")?.ruleset;
    match status {
        RulesetStatus::FullyEnforced => Ok("files, TCP and signals"),
        RulesetStatus::PartiallyEnforced => Ok("what this kernel can hold"),
        RulesetStatus::NotEnforced => Err("this kernel has no landlock"),
    }
}

fn restrict(needs: &Needs) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    if !needs.connect {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = rules.create()?;
    let written = AccessFs::from_all(KNOWN) & !AccessFs::Execute;
    rules = beneath(rules, &needs.read, AccessFs::ReadFile | AccessFs::ReadDir)?;
    rules = beneath(rules, &needs.write, written)?;
    for &port in &needs.listen {
        rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
    }
    rules.restrict_self()
}

/// A path that is not there needs no rule: whoever wants it says so.
fn beneath(
    mut rules: RulesetCreated,
    paths: &[std::path::PathBuf],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        if let Ok(path) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(path, access))?;
        }
    }
    Ok(rules)
}
