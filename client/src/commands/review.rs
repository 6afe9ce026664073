//! `tiresias review`: the record of decisions, listed, decided, counted, exported and checked.

use std::path::{Path, PathBuf};

use serde_json::json;
use tiresias_record::{Book, Decision, Store, Verdict, export, rates};

use crate::{
    Error,
    cli::{
        CheckArgs, DecideArgs, ExportArgs, FormatArg, ListArgs, RatesArgs, ReviewArgs, ReviewCommand,
        ServeArgs, ShowArgs,
    },
    clock,
    files::{self, Readers},
    output,
    review::{
        file,
        serve::{Server, Settings},
        shown,
    },
    stop::Stop,
};

/// Runs the command.
pub async fn run(args: &ReviewArgs) -> Result<(), Error> {
    let path =
        args.record.as_ref().ok_or(Error::Usage("name the record: --record FILE, or TIRESIAS_RECORD"))?;
    let passphrase = args.passphrase_file.as_deref();
    if let ReviewCommand::Init = args.command {
        file::create(path, passphrase)?;
        return output::line(&format!("{} is a new record; `infer --record` writes to it", path.display()));
    }
    if let ReviewCommand::Serve(args) = &args.command {
        Server::expect_loopback(args.listen)?;
    }
    let (store, book) = file::read(path, passphrase)?;
    let mut opened = Opened { path: path.clone(), store, book };
    match &args.command {
        ReviewCommand::Init => Ok(()),
        ReviewCommand::List(args) => opened.list(args),
        ReviewCommand::Show(args) => opened.show(args),
        ReviewCommand::Accept(args) => opened.decide(args, Verdict::Accept),
        ReviewCommand::Override(args) => opened.decide(&args.decide, Verdict::Override(args.to.clone())),
        ReviewCommand::Export(args) => opened.export(args),
        ReviewCommand::Rates(args) => opened.rates(args),
        ReviewCommand::Check(args) => opened.check(args),
        ReviewCommand::Serve(args) => return serve(opened, args).await,
    }?;
    output::note_head(opened.book.rows(), &hex::encode(opened.book.head()));
    Ok(())
}

/// The record of a command.
struct Opened {
    path: PathBuf,
    store: Store,
    book: Book,
}

impl Opened {
    fn list(&self, args: &ListArgs) -> Result<(), Error> {
        let low_margin = args.margin.low_margin;
        let cases = shown::cases(&self.book, low_margin, args.all);
        if args.json {
            let settings = settings(low_margin);
            return cases
                .map(|(number, entry)| export::object(&self.book, number, entry, settings))
                .try_for_each(|object| output::json(&object));
        }
        let mut table = output::table(&["case", "recorded", "input", "model", "diagnosis", "why", "decided"]);
        for (number, entry) in cases {
            let case = entry.case();
            let decided = entry.decision().map(|decision| shown::decision(entry, decision));
            table.add_row([
                number.to_string(),
                clock::utc(case.at),
                shown::plain(&case.input()),
                shown::plain(&format!("{} {}", case.model, case.version)),
                shown::plain(&shown::answer(entry)),
                shown::why(entry, low_margin),
                shown::plain(&decided.unwrap_or_default()),
            ]);
        }
        output::line(&table.to_string())?;
        let open = shown::cases(&self.book, low_margin, false).count();
        let all = self.book.entries().count();
        output::line(&format!(
            "{open} of {all} cases need a human (review, far out, alarms, a margin below {low_margin})"
        ))
    }

    fn show(&self, args: &ShowArgs) -> Result<(), Error> {
        let entry = self.book.entry(args.case).map_err(file::at(&self.path))?;
        if args.json {
            let settings = settings(args.margin.low_margin);
            return output::json(&export::object(&self.book, args.case, entry, settings));
        }
        output::line(&format!("Case {}", args.case))?;
        for (name, value) in shown::facts(entry, args.margin.low_margin, clock::utc) {
            output::line(&shown::plain(&format!("{name}: {value}")))?;
        }
        for decision in entry.decisions() {
            let words = shown::decision(entry, decision);
            output::line(&shown::plain(&format!(
                "Decided {}: {words}: {}",
                clock::utc(decision.at()),
                decision.reason()
            )))?;
        }
        Ok(())
    }

    fn decide(&mut self, args: &DecideArgs, verdict: Verdict) -> Result<(), Error> {
        let by = (args.by.as_str(), args.reason.as_str(), clock::seconds());
        let decided = self.book.record(&mut self.store, (args.case, args.again), verdict, by);
        decided.map_err(file::at(&self.path))?;
        let entry = self.book.entry(args.case).map_err(file::at(&self.path))?;
        let words = |decision: &Decision| shown::plain(&shown::decision(entry, decision));
        output::line(&format!("case {}: {}", args.case, entry.decision().map(words).unwrap_or_default()))
    }

    fn export(&self, args: &ExportArgs) -> Result<(), Error> {
        let settings = settings(args.margin.low_margin);
        let text = match args.format {
            FormatArg::Csv => {
                let bytes = export::csv(&self.book, settings).map_err(file::at(&self.path))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            FormatArg::Jsonl => {
                export::json_lines(&self.book, settings).iter().map(|line| format!("{line}\n")).collect()
            }
        };
        match &args.out {
            Some(path) => files::write_whole(path, text.as_bytes(), Readers::Owner, false),
            None => output::line(text.trim_end_matches('\n')),
        }
    }

    fn rates(&self, args: &RatesArgs) -> Result<(), Error> {
        let rates = rates::rates(&self.book, &args.groups, args.min_cell).map_err(file::at(&self.path))?;
        if args.json {
            return rates.iter().try_for_each(output::json);
        }
        let mut table = output::table(&[
            "",
            "",
            "",
            "cases",
            "accepted",
            "overridden",
            "left to humans",
            "agreement",
            "95 %",
            "override",
            "95 % ",
        ]);
        table.set_header([
            "model",
            "by",
            "group",
            "cases",
            "accepted",
            "overridden",
            "left to humans",
            "agreement",
            "95 %",
            "override",
            "95 %",
        ]);
        for rate in rates {
            let [agreement, agreement_span] = shown::estimate(rate.agreement);
            let [overridden, overridden_span] = shown::estimate(rate.override_rate);
            table.add_row([
                shown::plain(&format!("{} {}", rate.model, rate.version)),
                shown::plain(rate.by.as_deref().unwrap_or("all")),
                shown::plain(rate.group.as_deref().unwrap_or_default()),
                rate.cases.to_string(),
                rate.accepted.to_string(),
                rate.overridden.to_string(),
                rate.left_to_humans.to_string(),
                agreement,
                agreement_span,
                overridden,
                overridden_span,
            ]);
        }
        output::line(&table.to_string())?;
        output::line(&format!(
            "too few: fewer than {} decisions about results. {}",
            args.min_cell,
            shown::RATES_CAUTION
        ))
    }

    fn check(&self, args: &CheckArgs) -> Result<(), Error> {
        let since =
            args.head.map(|head| self.book.find_head(&head)).transpose().map_err(file::at(&self.path))?;
        let cases = self.book.entries().count() as u64;
        let decisions = self.book.rows() - cases;
        let head = hex::encode(self.book.head());
        output::json(
            &json!({ "cases": cases, "decisions": decisions, "head": head, "goes_on_from_row": since }),
        )
    }
}

fn settings(low_margin: f64) -> export::Settings {
    export::Settings { low_margin, time: clock::utc }
}

/// Serves the page until it is told to stop: what was decided is on the disk.
async fn serve(opened: Opened, args: &ServeArgs) -> Result<(), Error> {
    let Opened { path, store, book } = opened;
    let settings = Settings { low_margin: args.margin.low_margin, min_cell: args.min_cell };
    let server = Server::bind(args.listen, &path, store, book, settings).await?;
    output::line(&server.url())?;
    output::note_serving();
    let _ = Stop::of_a_server().or(server.run()).await;
    Ok(())
}

/// The decisions of a record as a table for `fairness`, of the cases whose truth is known, and how many there are without.
pub(super) fn table_for_fairness(
    path: &Path,
    passphrase_file: Option<&Path>,
    truth: &str,
    model: Option<&str>,
) -> Result<(Vec<u8>, usize), Error> {
    let (_, book) = file::read(path, passphrase_file)?;
    let mut models: Vec<&str> = book.entries().map(|(_, entry)| entry.case().model.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    if model.is_none() && models.len() > 1 {
        return Err(Error::Usage("the record has cases of several models: name one with --model"));
    }
    let is_wanted = |case: &tiresias_record::Case| model.is_none_or(|model| model == case.model);
    let has_truth = |case: &tiresias_record::Case| case.about(truth).is_some_and(|truth| !truth.is_empty());
    let cases = || book.entries().filter(|(_, entry)| is_wanted(entry.case()));
    let known = cases().filter(|(_, entry)| has_truth(entry.case()));
    let without = cases().filter(|(_, entry)| !has_truth(entry.case())).count();
    let table = export::table(&book, settings(0.0), known).map_err(file::at(path))?;
    Ok((table, without))
}
