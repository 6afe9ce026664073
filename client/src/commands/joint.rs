//! `tiresias joint`: keys and rosters, ceremonies and sums.

use std::time::Duration;

use serde_json::json;
use tiresias_evidence::joint::{MAXIMUM_ROSTER_BYTES, Roster};

use crate::{
    Error,
    cli::{JointArgs, JointCommand, JointKeyArgs, JointSumArgs, RosterArgs},
    files::{self, Readers},
    http::Connection,
    joint::{self, Session, StateDirectory, state::rostered},
    output,
    privacy_noise::Mechanism,
    stop::Stop,
};

const MAXIMUM_VALUES_BYTES: u64 = 4 << 20;

/// Runs the command.
pub async fn run(command: &JointCommand) -> Result<(), Error> {
    match command {
        JointCommand::Key(args) => key(args),
        JointCommand::Roster(args) => roster(args),
        JointCommand::Ceremony(args) => ceremony(args).await,
        JointCommand::Sum(args) => sum(args).await,
    }
}

impl JointArgs {
    /// Takes part in the ceremony, or finds it complete.
    pub async fn session(&self) -> Result<Session, Error> {
        let text = files::read(&self.roster, MAXIMUM_ROSTER_BYTES as u64)?;
        let roster = Roster::parse(&String::from_utf8_lossy(&text))
            .map_err(|source| joint::Error::Roster { path: self.roster.clone(), source })?;
        let state = StateDirectory::open(&self.state)?;
        let connection = Connection::open_with(&self.gateway, &self.network, Stop::on_signals()).await?;
        let patience = Duration::from_secs(self.wait);
        Session::open(connection, roster, state, self.ceremony, patience).await
    }
}

fn key(args: &JointKeyArgs) -> Result<(), Error> {
    let state = StateDirectory::open(&args.state)?;
    let key = state.key(args.name.as_deref())?;
    output::line(&rostered(&key, &args.state)?.to_string())
}

fn roster(args: &RosterArgs) -> Result<(), Error> {
    let made = Roster::new(&args.name, args.clinic.clone());
    let roster = made.map_err(|source| joint::Error::Roster { path: args.out.clone(), source })?;
    files::write_whole(&args.out, roster.text().as_bytes(), Readers::All, false)?;
    output::line(&format!("the roster {} of {} clinics", hex::encode(roster.id()), roster.clinics().len()))
}

async fn ceremony(args: &JointArgs) -> Result<(), Error> {
    let session = args.session().await?;
    output::line(&format!(
        "all {} clinics hold the joint key together; its transcript is {}",
        session.clinics(),
        hex::encode(session.transcript())
    ))
}

async fn sum(args: &JointSumArgs) -> Result<(), Error> {
    let text = files::read(&args.values, MAXIMUM_VALUES_BYTES)?;
    let values = std::str::from_utf8(&text).ok().and_then(|text| {
        let fields = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|field| !field.is_empty());
        fields.map(|field| field.parse().ok()).collect::<Option<Vec<i64>>>()
    });
    let values =
        values.ok_or(Error::Usage("--values: a file of integers, one a line or with commas between them"))?;
    let mut session = args.joint.session().await?;
    let values = match Mechanism::of(&args.noise)? {
        Some(mechanism) => mechanism.charge(&args.noise, &args.label)?.add(&values, args.bound)?,
        None => values,
    };
    let totals = session.sum(&args.label, &values, args.bound).await?;
    if args.json {
        return output::json(&json!({ "label": args.label, "clinics": session.clinics(), "totals": totals }));
    }
    totals.iter().try_for_each(|total| output::line(&total.to_string()))
}
