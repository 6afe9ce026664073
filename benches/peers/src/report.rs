//! The one place that prints.

use std::io::Write as _;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde_json::json;
use tiresias_benches::stats::{Ratio, median, quantile};

use crate::{Contender, timing::Times};

/// One shape, measured.
pub(crate) struct Measured<'a> {
    pub(crate) shape: &'a str,
    /// The first so many contenders are ours.
    pub(crate) ours: usize,
    pub(crate) contenders: &'a [&'a dyn Contender],
    pub(crate) evaluate: Vec<Times>,
    pub(crate) served: Vec<Times>,
}

impl Measured<'_> {
    pub(crate) fn print_tables(&self) {
        let mut sides = table(&[
            self.shape,
            "parameters",
            "bits",
            "weights",
            "up B",
            "down B",
            "server key B",
            "evaluate us (CPU)",
            "served us (CPU)",
        ]);
        let times = |times: &Times| format!("{:.1} ({:.1})", median(&times.wall), median(&times.cpu));
        for (i, contender) in self.contenders.iter().enumerate() {
            let facts = contender.facts();
            sides.add_row([
                facts.name,
                facts.parameters,
                facts.security,
                facts.weights.to_owned(),
                facts.upload_bytes.to_string(),
                facts.download_bytes.to_string(),
                facts.key_bytes.to_string(),
                times(&self.evaluate[i]),
                times(&self.served[i]),
            ]);
        }
        let mut ratios = table(&["time of ours / time of peer", "evaluate", "served"]);
        for (ours, peer) in self.pairs() {
            let cell = |times: &[Times]| Ratio::new(&times[ours].wall, &times[peer].wall).to_string();
            let names = format!("{} / {}", self.name(ours), self.name(peer));
            ratios.add_row([names, cell(&self.evaluate), cell(&self.served)]);
        }
        line(&format!("{sides}\n\n{ratios}\n"));
    }

    pub(crate) fn print_json(&self) {
        let times = |times: &Times| {
            json!({
                "wall_us": median(&times.wall),
                "wall_us_p10": quantile(&times.wall, 0.1),
                "wall_us_p90": quantile(&times.wall, 0.9),
                "cpu_us": median(&times.cpu),
            })
        };
        for (i, contender) in self.contenders.iter().enumerate() {
            let facts = contender.facts();
            let row = json!({
                "shape": self.shape,
                "contender": facts.name,
                "parameters": facts.parameters,
                "security": facts.security,
                "weights": facts.weights,
                "upload_bytes": facts.upload_bytes,
                "download_bytes": facts.download_bytes,
                "server_key_bytes": facts.key_bytes,
                "exact": true,
                "evaluate": times(&self.evaluate[i]),
                "served": times(&self.served[i]),
            });
            line(&row.to_string());
        }
        for (ours, peer) in self.pairs() {
            let cell = |times: &[Times]| {
                let ratio = Ratio::new(&times[ours].wall, &times[peer].wall);
                json!({ "medians": ratio.medians, "p10": ratio.low, "p90": ratio.high })
            };
            let row = json!({
                "shape": self.shape,
                "ours": self.name(ours),
                "peer": self.name(peer),
                "evaluate_ratio": cell(&self.evaluate),
                "served_ratio": cell(&self.served),
            });
            line(&row.to_string());
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let peers = self.ours..self.contenders.len();
        (0..self.ours).flat_map(move |ours| peers.clone().map(move |peer| (ours, peer)))
    }

    fn name(&self, contender: usize) -> String {
        self.contenders[contender].facts().name
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    table
}

/// Prints a line. A closed pipe ends the reader's interest, not the run.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
