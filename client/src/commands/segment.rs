//! `tiresias segment`: the class of each location of scans. Locations go to the gateway as a cohort; when the last answer is
//! here, all are decrypted.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use tiresias_backbone::Backbone;
use tiresias_circuits::{explain::MapShape, scores};
use tiresias_report::{HeatMap, class_colour, segmented_png};
use tiresias_scan::Picture;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::{
    cohort::ask::{Facts, Ready, ask, joined, judge},
    infer::{open_served, receipts::both},
};
use crate::{
    Error, Model,
    cli::SegmentArgs,
    cohort::{Cohort, PendingBlock, decrypt, rows::Rows},
    evidence::{Exchange, Ledger},
    files,
    http::Connection,
    npy,
    output::{self, table},
    scans::{self, Failure},
    stop::Stop,
};

/// Rows that are read from a features file at once.
const ROWS_AT_ONCE: usize = 4096;

/// A feature map whose rows lie among those of all maps.
struct Source {
    name: String,
    shape: MapShape,
    /// What the map was made of, where that was a scan.
    picture: Option<Picture>,
}

/// Maps, and the rows of all their locations, one after the other.
struct Maps {
    sources: Vec<Source>,
    rows: Zeroizing<Vec<f64>>,
    failures: Vec<Failure>,
}

/// Runs the command.
pub async fn run(args: &SegmentArgs) -> Result<(), Error> {
    files::refuse_existing(&args.out)?;
    let mut ledger = Ledger::open(&args.evidence)?;
    let (mut connection, model) = open_served(
        (&args.gateway, &args.network),
        (&args.model, args.version),
        &args.approvers,
        Stop::on_signals(),
    )
    .await?;
    let background = background(args, &model)?;
    let most = connection.maximum_cohort(&model).await?.ok_or(Error::NoCohorts)?;
    let maps = read(args, &model)?;

    let (mut facts, mut exchanges) = (Facts::default(), Vec::new());
    let block = most.min(args.block.into());
    let asked =
        ask_all(&mut connection, &model, (&maps.rows, block), ledger.as_ref(), (&mut exchanges, &mut facts))
            .await;
    let receipts = judge(ledger.as_mut(), &mut connection, &exchanges).await;
    drop(connection);
    let features = model.card().plan().shape().features;
    output::warn_clipped(facts.clipped as usize, facts.patients as usize * features);
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return both(Err(error), receipts),
    };

    let (mut scores_q, mut far_out) = (Vec::new(), Vec::new());
    for (pending, element) in asked {
        far_out.extend_from_slice(&pending.far_out);
        scores_q.extend(decrypt(&model, pending, &element)?);
    }
    output::warn_far_out_locations(far_out.iter().filter(|far_out| **far_out).count(), far_out.len());
    files::create_own_directory(&args.out)?;
    let mut rest = scores_q.as_slice();
    let mut segmented = Vec::new();
    for (number, source) in maps.sources.iter().enumerate() {
        let (scores_q, others) = rest.split_at(source.shape.locations());
        rest = others;
        segmented.push(write(args, number, &model, source, scores_q, background)?);
    }
    print(args, &model, &maps.sources, &segmented)?;
    for failure in &maps.failures {
        output::scan_failed(failure);
    }
    receipts?;
    match maps.failures.len() {
        0 => Ok(()),
        failed => Err(Error::SomeScans { failed, read: maps.sources.len() }),
    }
}

/// The class that stays clear, by its label.
fn background(args: &SegmentArgs, model: &Model) -> Result<Option<usize>, Error> {
    let Some(label) = &args.background else { return Ok(None) };
    let found = model.card().labels().iter().position(|known| known == label);
    found.map(Some).ok_or(Error::Usage("--background: the model has no class of that label"))
}

/// Reads all maps.
fn read(args: &SegmentArgs, model: &Model) -> Result<Maps, Error> {
    let card = model.card();
    let features = card.plan().shape().features;
    let (Some(path), Some(shape)) = (&args.features, args.shape) else {
        let path = args.backbone.as_ref().ok_or(Error::Usage("--scan goes with --backbone"))?;
        let backbone = Backbone::open(path)?;
        scans::expect_backbone(card, &backbone)?;
        let progress = output::files_progress();
        let locations = scans::Rows::Locations(None);
        let (cases, failures) = scans::read(&args.scan, &backbone, locations, || progress.inc(1))?;
        progress.finish_and_clear();
        let mut maps = Maps { sources: Vec::new(), rows: Zeroizing::default(), failures };
        for case in cases {
            let Some(shape) = case.map else { continue };
            for row in &case.rows {
                if row.len() != features {
                    return Err(Error::BackboneFeatures { got: row.len(), expected: features });
                }
                maps.rows.extend_from_slice(row);
            }
            maps.sources.push(Source { name: case.name, shape, picture: Some(case.picture) });
        }
        return Ok(maps);
    };
    let mut file = Rows::open(path, features)?;
    let mut rows = Zeroizing::new(Vec::new());
    loop {
        let more = Zeroizing::new(file.next(ROWS_AT_ONCE)?);
        if more.is_empty() {
            break;
        }
        rows.extend_from_slice(&more);
    }
    let locations = rows.len() / features;
    if !locations.is_multiple_of(shape.locations()) {
        return Err(Error::Usage(
            "--shape: the rows of --features are not whole maps of that many locations",
        ));
    }
    let count = locations / shape.locations();
    let name = |number: usize| match count {
        1 => path.display().to_string(),
        _ => format!("{} map {number}", path.display()),
    };
    let sources = (0..count).map(|number| Source { name: name(number), shape, picture: None });
    Ok(Maps { sources: sources.collect(), rows, failures: Vec::new() })
}

/// Asks for all rows, block after block.
async fn ask_all(
    connection: &mut Connection,
    model: &Arc<Model>,
    (rows, block): (&[f64], usize),
    ledger: Option<&Ledger>,
    (exchanges, facts): (&mut Vec<Exchange>, &mut Facts),
) -> Result<Vec<(PendingBlock, Vec<u8>)>, Error> {
    let features = model.card().plan().shape().features;
    let served = Arc::clone(model);
    let run = Arc::new(joined(spawn_blocking(move || Cohort::begin(served)).await)?);
    let progress = output::progress(rows.len() / features);
    let mut asked = Vec::new();
    for values in rows.chunks(block * features) {
        let (values, of_run) = (Zeroizing::new(values.to_vec()), Arc::clone(&run));
        let ready = joined(spawn_blocking(move || Ready::new(&of_run, values)).await)?;
        let answered = ask(connection, (model, &run), ready, ledger, facts).await?;
        exchanges.extend(answered.exchange);
        asked.push((answered.pending, answered.element));
        progress.set_position(facts.patients);
    }
    progress.finish_and_clear();
    Ok(asked)
}

/// What was found in a map.
struct Segmented {
    /// Locations of each class, in the order of [`names`].
    counts: Vec<usize>,
    mask: PathBuf,
    picture: PathBuf,
}

/// What the numbers of a mask mean: a class each, or for a lone class whether it is there.
fn names(model: &Model) -> Vec<&str> {
    let labels = model.card().labels().iter().map(String::as_str);
    if model.card().labels().len() == 1 {
        ["none"].into_iter().chain(labels).collect()
    } else {
        labels.collect()
    }
}

/// Writes a map's classes and its picture.
fn write(
    args: &SegmentArgs,
    number: usize,
    model: &Model,
    source: &Source,
    scores_q: &[Vec<i64>],
    background: Option<usize>,
) -> Result<Segmented, Error> {
    let (card, shape) = (model.card(), source.shape);
    let is_lone = card.labels().len() == 1;
    let class = |scores_q: &Vec<i64>| {
        let class = scores::read(scores_q, card.score_scale()).class;
        if is_lone { usize::from(class.is_some()) } else { class.unwrap_or_default() }
    };
    let classes: Vec<usize> = scores_q.iter().map(class).collect();
    let mut counts = vec![0; names(model).len()];
    classes.iter().for_each(|&class| counts[class] += 1);
    let maps: Vec<HeatMap> = (0..card.labels().len())
        .map(|class| HeatMap {
            class: card.labels()[class].clone(),
            height: shape.height(),
            width: shape.width(),
            values: scores_q.iter().map(|scores| scores[class] as f64).collect(),
        })
        .collect();
    let picture = match &source.picture {
        Some(picture) => segmented_png(picture, &maps, background),
        None => segmented_png(&blank(shape)?, &maps, background),
    };
    // Names of scans may be equal but for what no file's name may have.
    let stem = format!("{number:04}-{}", scans::stem(&source.name));
    let path = |ending: &str| args.out.join(format!("{stem}.{ending}"));
    let numbers: Vec<u16> = classes.iter().map(|&class| class as u16).collect();
    let found = Segmented { counts, mask: path("npy"), picture: path("png") };
    save(&found.mask, &npy::classes(&numbers, shape.width()))?;
    save(&found.picture, &picture)?;
    Ok(found)
}

/// What is drawn on where there is no scan: a black picture of a pixel a location.
fn blank(shape: MapShape) -> Result<Picture, Error> {
    let picture = Picture::new(shape.height(), shape.width(), 1, vec![0.0; shape.locations()]);
    picture.map_err(|_| Error::Scans("a map has no locations"))
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file: File = files::create_own(path)?;
    file.write_all(bytes).map_err(files::at(path))
}

fn print(
    args: &SegmentArgs,
    model: &Model,
    sources: &[Source],
    segmented: &[Segmented],
) -> Result<(), Error> {
    let names = names(model);
    let share = |found: &Segmented, class: usize| {
        found.counts[class] as f64 / found.counts.iter().sum::<usize>().max(1) as f64
    };
    if args.json {
        for (source, found) in sources.iter().zip(segmented) {
            let shares: Map<String, Value> = names
                .iter()
                .enumerate()
                .map(|(class, name)| ((*name).to_owned(), share(found, class).into()))
                .collect();
            output::json(&json!({
                "map": source.name,
                "height": source.shape.height(),
                "width": source.shape.width(),
                "classes": names,
                "shares": shares,
                "mask": found.mask.display().to_string(),
                "picture": found.picture.display().to_string(),
            }))?;
        }
        return Ok(());
    }
    let colour = |class: usize| class_colour(class).map(|part| format!("{part:02x}")).concat();
    let first = names.len() - model.card().labels().len();
    let heads = names.iter().enumerate().map(|(class, name)| match class.checked_sub(first) {
        Some(class) => format!("{name} (#{})", colour(class)),
        None => (*name).to_owned(),
    });
    let heads: Vec<String> = ["map".to_owned()].into_iter().chain(heads).collect();
    let mut shown = table(&heads.iter().map(String::as_str).collect::<Vec<_>>());
    for (source, found) in sources.iter().zip(segmented) {
        let shares = (0..names.len()).map(|class| format!("{:.1} %", 100.0 * share(found, class)));
        shown.add_row([source.name.clone()].into_iter().chain(shares));
    }
    output::line(&shown.to_string())?;
    output::line(&format!("masks and pictures of {} maps written to {}", segmented.len(), args.out.display()))
}
