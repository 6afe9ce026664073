//! Decoders that panic on damaged files: that must neither end the program nor print a word that its user can't place.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use crate::Error;

thread_local! {
    /// Whether this thread is at work below, so that a panic of it is an error and no panic of the program.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Does work whose panics become errors. The panic hook of the process is wrapped once: it goes on to speak of every other
/// panic.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                others(panic);
            }
        }));
    });
    let before = IS_GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(before);
    done.unwrap_or(Err(Error::Damaged("its pixels")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_guard_ends_with_the_work() {
        let panicking = || guarded::<()>(|| panic!("of a decoder"));
        assert!(matches!(panicking(), Err(Error::Damaged(_))));
        assert!(!IS_GUARDED.get());
        let nested = guarded(|| {
            let inner = panicking();
            assert!(IS_GUARDED.get(), "the outer work is guarded on");
            Ok(inner.is_err())
        });
        assert!(nested.unwrap());
    }
}
