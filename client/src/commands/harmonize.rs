//! `tiresias harmonize`: features of different scanners brought to one mean and spread, by joint sums.

use std::path::Path;

use crate::{
    Error,
    cli::HarmonizeArgs,
    files::{self, Readers},
    harmony::{Feature, Harmony, Scheme},
    inputs::{self, MAXIMUM_FEATURES_BYTES},
    npy, output,
};

/// A clinic's rows, each with the number of its scanner.
struct Table {
    names: Vec<String>,
    rows: Vec<(usize, Vec<f64>)>,
}

/// Runs the command.
pub async fn run(args: &HarmonizeArgs) -> Result<(), Error> {
    for path in [Some(&args.out), args.apply.as_ref()].into_iter().flatten() {
        files::refuse_existing(path)?;
    }
    let table = read(args)?;
    let features = table.names.iter().map(|name| {
        let own = args.scale.iter().find(|(column, ..)| column == name);
        let (step, largest) = own.map_or((args.step, args.largest), |(_, step, largest)| (*step, *largest));
        Feature { name: name.clone(), step, largest }
    });
    let scheme = Scheme { sites: args.sites.clone(), features: features.collect(), rows: args.rows };
    if args.scale.iter().any(|(column, ..)| !table.names.contains(column)) {
        return Err(Error::Usage("--scale names a column that is no feature"));
    }
    scheme.check().map_err(Error::Usage)?;
    let bound = scheme.bound().ok_or(Error::Usage("the sums are too wide: take a coarser --step"))?;
    let rows = || table.rows.iter().map(|(site, values)| (*site, values.as_slice()));
    let sums = scheme.sums(rows()).map_err(|row| {
        let reason = "a value is not within --largest, or there are more rows than --rows";
        Error::Table { path: args.features.clone(), line: row as u64 + 2, reason }
    })?;
    let label = format!("tiresias harmonize\n{}\n{}", args.label, scheme.text());
    let label = hex::encode(tiresias_keys::Digest::of(label.as_bytes()).as_bytes());
    let totals = args.joint.session().await?.sum(&label, &sums, bound).await?;
    let harmony = scheme.figures(&totals, args.min_rows);
    let text = serde_json::to_string_pretty(&harmony).map_err(|error| Error::Output(error.into()))? + "\n";
    files::write_whole(&args.out, text.as_bytes(), Readers::Owner, false)?;
    if let Some(path) = &args.apply {
        files::write_whole(path, &applied(args, &table, &harmony, path)?, Readers::Owner, false)?;
    }
    if args.json {
        return output::json(&harmony);
    }
    print(&harmony, args)
}

fn read(args: &HarmonizeArgs) -> Result<Table, Error> {
    let bytes = files::read(&args.features, MAXIMUM_FEATURES_BYTES)?;
    let wrong = |line: usize, reason| Error::Table { path: args.features.clone(), line: line as u64, reason };
    let number = |name: &str| args.sites.iter().position(|site| site == name);
    if let Some(site) = &args.site {
        let site = number(site).ok_or(Error::Usage("--site is one of --sites"))?;
        let features = inputs::parse(&args.features, &bytes)?;
        let names = (1..=features.columns()).map(|at| format!("feature_{at}")).collect();
        return Ok(Table { names, rows: features.iter().map(|row| (site, row.to_vec())).collect() });
    }
    let by = args.by.as_deref().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&bytes[..]);
    const FORM: &str = "the file must be UTF-8 text with a header and the same number of fields in each line";
    let header = reader.headers().map_err(|_| wrong(1, FORM))?.clone();
    let mut places = (0..header.len()).filter(|at| &header[*at] == by);
    let (Some(place), None) = (places.next(), places.next()) else {
        return Err(wrong(1, "--by names a column that the header does not have, or has twice"));
    };
    let others = || (0..header.len()).filter(|at| *at != place);
    let names = others().map(|at| header[at].to_owned()).collect();
    let mut rows = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let line = row + 2;
        let record = record.map_err(|_| wrong(line, FORM))?;
        let site = number(&record[place]).ok_or_else(|| wrong(line, "the scanner is not one of --sites"))?;
        let values = others().map(|at| record[at].parse().ok()).collect::<Option<Vec<f64>>>();
        rows.push((site, values.ok_or_else(|| wrong(line, "a feature is not a number"))?));
    }
    Ok(Table { names, rows })
}

/// This clinic's harmonized rows, as bytes of a file.
fn applied(args: &HarmonizeArgs, table: &Table, harmony: &Harmony, path: &Path) -> Result<Vec<u8>, Error> {
    let rows: Vec<Vec<f64>> =
        table.rows.iter().map(|(site, values)| harmony.apply(&args.sites[*site], values)).collect();
    if path.extension().is_some_and(|extension| extension == "npy") {
        return Ok(npy::bytes(rows.iter().map(Vec::as_slice), table.names.len()));
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Error::Output(error.into());
    let by = args.by.as_deref();
    writer.write_record(by.into_iter().chain(table.names.iter().map(String::as_str))).map_err(failed)?;
    for ((site, _), row) in table.rows.iter().zip(&rows) {
        let site = by.map(|_| args.sites[*site].clone());
        writer.write_record(site.into_iter().chain(row.iter().map(f64::to_string))).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::Output(error.into_error()))
}

fn print(harmony: &Harmony, args: &HarmonizeArgs) -> Result<(), Error> {
    let mut table = output::table(&["", "", "rows", "mean", "standard deviation"]);
    table.set_header(["feature", "scanner", "rows", "mean", "standard deviation"]);
    for feature in &harmony.features {
        let all = ("all".to_owned(), feature.all);
        let by = feature.by.iter().map(|(name, moments)| (name.clone(), *moments));
        for (name, moments) in [all].into_iter().chain(by) {
            table.add_row([
                feature.name.clone(),
                name,
                moments.count.to_string(),
                format!("{:.4}", moments.mean),
                format!("{:.4}", moments.variance.sqrt()),
            ]);
        }
    }
    output::line(&table.to_string())?;
    if !harmony.too_small.is_empty() {
        let names = harmony.too_small.join(", ");
        output::line(&format!("fewer than {} rows, left as they are: {names}", args.min_rows))?;
    }
    output::line(&format!("the figures are in {}", args.out.display()))
}
