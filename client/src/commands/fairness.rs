//! `tiresias fairness`: how alike a model treats groups of patients, from a table of its decisions or from the record of them.

mod joint;

use serde::Serialize;
use tiresias_fairness::{
    Audit, Settings, audit,
    audit::Rule,
    html::{Origin, html},
    table::{self, Columns},
    tally::Suppressed,
};
use tiresias_record::{
    case::REVIEW,
    export::{DECIDED, PREDICTION},
};
use zeroize::Zeroizing;

use super::review::table_for_fairness;
use crate::{
    Error,
    cli::FairnessArgs,
    clock,
    files::{self, Readers},
    output,
};

/// Tables of decisions may be this large.
const MAXIMUM_TABLE_BYTES: u64 = 1 << 30;

/// An audit and what computes it again.
#[derive(Serialize)]
struct Printed<'a> {
    command: &'a str,
    #[serde(flatten)]
    audit: &'a Audit,
    /// Combinations of groups that are left out of joint counts because they are small.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<Suppressed>,
}

/// Runs the command.
pub async fn run(args: &FairnessArgs) -> Result<(), Error> {
    let data = args.data.as_ref().or(args.record.as_ref());
    let data = data.ok_or(Error::Usage("name a table of decisions, or --record"))?;
    let at = |source| Error::Fairness { path: data.clone(), source };
    let bytes = match &args.record {
        None => files::read(data, MAXIMUM_TABLE_BYTES)?,
        Some(record) => {
            let (passphrase, model) = (args.passphrase_file.as_deref(), args.model.as_deref());
            let (table, without) = table_for_fairness(record, passphrase, &args.truth, model)?;
            output::note_without_truth(without);
            table
        }
    };
    let bytes = Zeroizing::new(bytes);
    let columns = columns(args);
    let mut suppressed = None;
    let rows = match args.joint.joint() {
        None => table::read(&bytes, &columns).map_err(at)?,
        Some(joint) => {
            let (prediction, abstain) = (columns.prediction.as_deref(), columns.abstain.as_deref());
            let (rows, left_out) = joint::rows(args, &joint, (data, &bytes), prediction, abstain).await?;
            suppressed = Some(left_out);
            rows
        }
    };
    drop(bytes);
    let audit = audit(&rows, &settings(args)).map_err(at)?;
    let command = super::command_line();
    if let Some(path) = &args.out {
        let source = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let computed_at = clock::now();
        let page = html(&audit, &Origin { source, command: command.clone(), computed_at });
        files::write_whole(path, page.as_bytes(), Readers::Owner, false)?;
    }
    match args.json {
        true => output::json(&Printed { command: &command, audit: &audit, suppressed })?,
        false => {
            print(&audit, args)?;
            if let Some(Suppressed { cells }) = suppressed.filter(|left_out| left_out.cells > 0) {
                output::line(&format!(
                    "{cells} combinations of groups with fewer than {} rows are left out",
                    args.min_cell
                ))?;
            }
        }
    }
    match audit.alarms.len() {
        0 => Ok(()),
        alarms => Err(Error::FairnessAlarm { alarms }),
    }
}

fn columns(args: &FairnessArgs) -> Columns {
    Columns {
        truth: args.truth.clone(),
        prediction: match &args.record {
            Some(_) => Some(if args.decided { DECIDED } else { PREDICTION }.to_owned()),
            None => args.prediction.clone(),
        },
        scores: args.score.clone(),
        groups: args.groups.clone(),
        bands: args.bands.iter().map(|(column, edges)| (column.clone(), edges.0.clone())).collect(),
        time: args.time.clone(),
        positive: args.positive.clone(),
        cut: args.cut,
        abstain: args.abstain.clone().or_else(|| args.record.as_ref().map(|_| REVIEW.to_owned())),
        empty_as: args.empty_as.clone(),
    }
}

fn settings(args: &FairnessArgs) -> Settings {
    Settings {
        positive: args.positive.clone(),
        reference: args.reference.clone(),
        min_cell: args.min_cell,
        bins: args.bins,
        resamples: args.resamples,
        seed: args.seed,
        window: args.window.into(),
        tolerance: args.tolerance,
        alarm: args.threshold.map(|above| Rule { measure: args.alarm_on.into(), above }),
    }
}

fn print(audit: &Audit, args: &FairnessArgs) -> Result<(), Error> {
    let mut table = output::table(&["", "", "", "difference", "95 %", "ratio", "", ""]);
    table.set_header(["class", "by", "measure", "difference", "95 %", "ratio", "lowest", "highest"]);
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
    for view in &audit.views {
        for comparison in &view.comparisons {
            for found in &comparison.all.disparities {
                let span = found.difference_interval.map(|(low, high)| format!("{low:.3} to {high:.3}"));
                table.add_row([
                    view.positive.clone(),
                    comparison.by.clone(),
                    found.measure.name().to_lowercase(),
                    number(Some(found.difference)),
                    span.unwrap_or_else(|| "-".into()),
                    number(found.ratio),
                    found.least.clone(),
                    found.most.clone(),
                ]);
            }
        }
    }
    output::line(&table.to_string())?;
    if let Some(view) = audit.views.first() {
        for comparison in &view.comparisons {
            let small = comparison.all.groups.iter().filter(|group| group.is_too_small);
            let small: Vec<String> = small.map(|group| format!("{} ({})", group.name, group.rows)).collect();
            if !small.is_empty() {
                let (by, least) = (&comparison.by, audit.min_cell);
                output::line(&format!("{by}: fewer than {least} rows, not judged: {}", small.join("; ")))?;
            }
        }
    }
    for alarm in &audit.alarms {
        let window = alarm.window.as_deref().unwrap_or("all rows");
        output::line(&format!(
            "alarm: {} by {}, {window}: {:.3}",
            alarm.positive, alarm.by, alarm.difference
        ))?;
    }
    match &args.out {
        Some(path) => output::line(&format!("{} decisions; the page is in {}", audit.rows, path.display())),
        None => output::line(&format!("{} decisions; --out FILE writes a page with all figures", audit.rows)),
    }
}
