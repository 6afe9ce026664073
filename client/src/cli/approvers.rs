//! Options that say who must have approved a model.

use clap::Args;

/// Whose approval a clinic asks for.
#[derive(Debug, Clone, Default, Args)]
pub struct ApproverArgs {
    /// The key of somebody whom this clinic trusts to approve models, `name+id+base64` as `tiresias-gateway approve` prints it, or a
    /// file with one a line
    ///
    /// The version is asked only where enough of them have signed its model card, for the circuit card that the gateway serves.
    /// It is checked before anything is encrypted, and a model that is replaced during the run is not followed.
    #[arg(long, value_name = "KEY|FILE", help_heading = "Approval")]
    pub approver: Vec<String>,
    /// How many of the named approvers must have signed; all of them by default
    #[arg(long, value_name = "N", requires = "approver", help_heading = "Approval")]
    pub approvals: Option<usize>,
}
