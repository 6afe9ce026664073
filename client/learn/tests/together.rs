//! Three clinics with quite different patients learn together what one with all of them learns: the same head, to the last bit, after each
//! number of rounds; on the real breast-cancer data of the demo.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    path::Path,
    sync::{Arc, Barrier, Mutex},
    thread,
};

use tiresias_learn::{
    Alone, Confusion, Error, Joint, Patients, Settings, Trained, Weighing,
    private::{Plan, train_private},
    scaling::bounds_of,
    train,
};
use tiresias_synth::{Bound, Bounds, Budget, Rows, Seed, discrete::Noise};

/// Rows of the demo's data, as (class, values), those of the training part or the others.
fn demo(set: &str) -> Vec<(usize, Vec<f64>)> {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(name);
        let mut reader = csv::Reader::from_path(path).unwrap();
        reader.records().map(|record| record.unwrap()).collect::<Vec<_>>()
    };
    let rows = read("wdbc.csv").into_iter().zip(read("wdbc_split.csv")).filter(|(_, split)| &split[1] == set);
    let values = |row: &csv::StringRecord| row.iter().skip(1).map(|field| field.parse().unwrap()).collect();
    rows.map(|(row, _)| (usize::from(&row[0] == "malignant"), values(&row))).collect()
}

fn patients(rows: &[(usize, Vec<f64>)]) -> Patients {
    let values = rows.iter().flat_map(|(_, values)| values.iter().copied()).collect();
    let labels = rows.iter().map(|(class, _)| *class).collect();
    let rows = Rows::new(values, 30, labels, vec!["benign".into(), "malignant".into()]).unwrap();
    // Small and large cells as groups, by the mean radius.
    let of = rows.iter().map(|row| usize::from(row[0] > 14.0)).collect();
    Patients::with_groups(rows, vec!["small".into(), "large".into()], of).unwrap()
}

/// The first has hardly a malignant case, the second hardly a benign one, the third the largest cells of both kinds.
fn clinics(rows: &[(usize, Vec<f64>)]) -> Vec<Patients> {
    let mut parts = vec![Vec::new(); 3];
    for (at, row) in rows.iter().enumerate() {
        let clinic = if row.1[0] > 15.0 { 2 } else { usize::from((row.0 == 1) != (at % 17 == 0)) };
        parts[clinic].push(row.clone());
    }
    parts.iter().map(|rows| patients(rows)).collect()
}

/// Round numbers about where most of such cells lie, as a textbook might have them.
fn textbook() -> Bounds {
    let texts = "6,22 10,30 40,145 150,1500 0.06,0.13 0.02,0.25 0,0.3 0,0.15 0.12,0.25 0.05,0.085 0.1,1 0.3,2.5 0.8,7 7,120 0.003,0.015 \
                 0,0.07 0,0.1 0,0.03 0.01,0.04 0.001,0.01 8,28 13,42 50,190 180,2200 0.08,0.19 0.03,0.7 0,0.8 0,0.27 0.18,0.45 0.055,0.13";
    let bound = |text: &str| {
        let (lower, upper) = text.split_once(',').unwrap();
        Bound { lower: lower.parse().unwrap(), upper: upper.parse().unwrap(), whole: false }
    };
    Bounds::new(texts.split_whitespace().map(bound).collect()).unwrap()
}

/// What adds up the integers of the clinics, each of which is a thread.
struct Board {
    sums: Mutex<Vec<i64>>,
    barrier: Barrier,
}

impl Board {
    fn sum(&self, values: &[i64], bound: u64) -> Vec<i64> {
        // What a joint sum takes.
        assert!(values.len() <= 16_384 && bound <= 1 << 58);
        assert!(values.iter().all(|value| value.unsigned_abs() <= bound));
        {
            let mut sums = self.sums.lock().unwrap();
            sums.resize(values.len(), 0);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        self.barrier.wait();
        let total = self.sums.lock().unwrap().clone();
        if self.barrier.wait().is_leader() {
            self.sums.lock().unwrap().clear();
        }
        self.barrier.wait();
        total
    }
}

/// Runs all clinics at once, with what each has.
fn together<T: Send>(
    clinics: &[Patients],
    run: impl Fn(usize, &Patients, &mut dyn FnMut(&str, &[i64], u64) -> Result<Vec<i64>, Error>) -> T + Sync,
) -> Vec<T> {
    let board = Arc::new(Board { sums: Mutex::new(Vec::new()), barrier: Barrier::new(clinics.len()) });
    thread::scope(|scope| {
        let started: Vec<_> = clinics
            .iter()
            .enumerate()
            .map(|(at, patients)| {
                let (board, run) = (Arc::clone(&board), &run);
                scope.spawn(move || run(at, patients, &mut |_, values, bound| Ok(board.sum(values, bound))))
            })
            .collect();
        started.into_iter().map(|clinic| clinic.join().unwrap()).collect()
    })
}

fn settings(rounds: usize, weighing: Weighing) -> Settings {
    Settings { weighing, strength: 1.0, rounds }
}

fn all_alike(trained: &[Trained], central: &Trained) {
    for clinic in trained {
        assert_eq!(clinic.head, central.head);
        assert_eq!((clinic.run, &clinic.counts), (central.run, &central.counts));
    }
}

#[test]
fn ten_rounds_of_three_clinics_are_ten_rounds_of_one() {
    let rows = demo("train");
    let (central, clinics) = (patients(&rows), clinics(&rows));
    let bounds = textbook();
    let malignant: Vec<usize> = clinics.iter().map(|clinic| clinic.rows().counts()[1]).collect();
    assert!(malignant[0] < 20 && clinics[1].rows().counts()[0] < 20, "{malignant:?}");
    for (rounds, weighing) in [
        (10, Weighing::default()),
        (3, Weighing::default()),
        (10, Weighing { balanced: true, reweighed: true }),
    ] {
        let settings = settings(rounds, weighing);
        let alone = train(&central, &bounds, &settings, &mut Alone).unwrap();
        let trained = together(&clinics, |_, patients, sum| {
            train(patients, &bounds, &settings, &mut Joint(sum)).unwrap()
        });
        all_alike(&trained, &alone);
        assert_eq!(alone.run.is_converged, rounds == 10, "{:?}", alone.run);
        if rounds == 10 && weighing == Weighing::default() {
            // As scikit-learn's head on the same split, with C = 1: 169 of 171.
            let held_out = patients(&demo("test"));
            let mut confusion = Confusion::new(&held_out);
            confusion.add(&alone.head, &held_out);
            assert!((confusion.accuracy() - 169.0 / 171.0).abs() < 1e-12, "{confusion:?}");
        }
    }
}

#[test]
fn more_parameters_than_second_derivatives_are_summed_for() {
    // Each feature eighteen times, a little changed: 541 parameters.
    let widen = |(class, values): &(usize, Vec<f64>)| {
        let wide =
            (0..540).map(|at| values[at % 30] + f64::from(at as u32 / 30) * values[(at * 7 + 3) % 30].sqrt());
        (*class, wide.collect::<Vec<f64>>())
    };
    let rows: Vec<_> = demo("train").iter().map(widen).collect();
    let patients = |rows: &[(usize, Vec<f64>)]| {
        let values = rows.iter().flat_map(|(_, values)| values.iter().copied()).collect();
        let labels = rows.iter().map(|(class, _)| *class).collect();
        Patients::new(Rows::new(values, 540, labels, vec!["benign".into(), "malignant".into()]).unwrap())
    };
    let settings = settings(12, Weighing::default());
    let bounds = bounds_of(patients(&rows).rows()).unwrap();
    let alone = train(&patients(&rows), &bounds, &settings, &mut Alone).unwrap();
    let clinics: Vec<Patients> = rows.chunks(150).map(patients).collect();
    let trained =
        together(&clinics, |_, patients, sum| train(patients, &bounds, &settings, &mut Joint(sum)).unwrap());
    all_alike(&trained, &alone);
    assert_eq!((alone.run.rounds, alone.run.is_converged), (12, false));
}

#[test]
fn private_clinics_learn_the_same_head_and_it_is_of_use() {
    let rows = demo("train");
    let (clinics, held_out) = (clinics(&rows), patients(&demo("test")));
    let bounds = textbook();
    let plan = Plan::new(Budget::new(4.0, 1e-5).unwrap(), 30, 2, 12, 1.0).unwrap();
    let heads = together(&clinics, |clinic, patients, sum| {
        let mut noise = Noise::new(&Seed::from(40 + clinic as u64));
        let pool = &mut Joint(sum);
        train_private(patients.rows(), &bounds, &plan, &mut noise, pool).unwrap().head
    });
    assert!(heads.iter().all(|head| *head == heads[0]));
    let mut confusion = Confusion::new(&held_out);
    confusion.add(&heads[0], &held_out);
    println!("epsilon 4, three clinics, seeds 40 to 42: {:.4} right", confusion.accuracy());
    assert!(confusion.accuracy() > 0.85, "{confusion:?}");
}
