//! Interleaved measurement: A, B, ..., A, B, ..., so that a change of the machine's speed meets all alike.

use std::{error::Error, time::Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Contender;

const ROUNDS: usize = 61;
/// Each contender runs this long in each round.
const SLICE_S: f64 = 0.004;

/// Times of one contender, in microseconds a call, one entry a round.
pub(crate) struct Times {
    pub(crate) wall: Vec<f64>,
    pub(crate) cpu: Vec<f64>,
}

type Outcome = Result<(), Box<dyn Error>>;

/// Runs `work` on each contender in turn, round after round.
pub(crate) fn interleaved(
    contenders: &[&dyn Contender],
    work: impl Fn(&dyn Contender) -> Outcome,
) -> Result<Vec<Times>, Box<dyn Error>> {
    let mut calls = Vec::new();
    for &contender in contenders {
        // Warm, then find how many calls fill a slice.
        let (warm, _) = slice(20, contender, &work)?;
        calls.push(((SLICE_S * 1e6 / warm) as u32).max(1));
    }
    let mut times: Vec<Times> =
        contenders.iter().map(|_| Times { wall: Vec::new(), cpu: Vec::new() }).collect();
    for _ in 0..ROUNDS {
        for ((&contender, times), &calls) in contenders.iter().zip(&mut times).zip(&calls) {
            let (wall, cpu) = slice(calls, contender, &work)?;
            times.wall.push(wall);
            times.cpu.push(cpu);
        }
    }
    Ok(times)
}

/// Microseconds a call, by the wall clock and by this thread's CPU clock.
fn slice(
    calls: u32,
    contender: &dyn Contender,
    work: &impl Fn(&dyn Contender) -> Outcome,
) -> Result<(f64, f64), Box<dyn Error>> {
    let (wall, cpu) = (Instant::now(), thread_cpu_s());
    for _ in 0..calls {
        work(contender)?;
    }
    let a_call = |seconds: f64| seconds * 1e6 / f64::from(calls);
    Ok((a_call(wall.elapsed().as_secs_f64()), a_call(thread_cpu_s() - cpu)))
}

fn thread_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
