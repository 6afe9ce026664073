//! Many things on their way to a device at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Does `count` things, up to `threads` of them at once, each on the thread that comes to it first. Results are in order; the
/// first error counts.
pub fn at_once<T: Send, E: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = threads.min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= count {
                        return;
                    }
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((item, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(item, _)| *item);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_the_first_error_counts() {
        for threads in [1, 3, 50] {
            assert_eq!(at_once(20, threads, Ok::<_, ()>), Ok((0..20).collect()));
            assert_eq!(at_once(20, threads, |item| if item % 7 == 5 { Err(item) } else { Ok(item) }), Err(5));
            assert_eq!(at_once(0, threads, Err::<(), usize>), Ok(Vec::new()));
        }
    }
}
