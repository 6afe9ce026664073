//! Plain loops, compiled once more for each width of vectors and run at that of this processor.

/// Runs `work` with the widest vectors that this processor has. Results are those of the plain loop.
///
/// `work` must be `#[inline(always)]`, as must be all that it calls: what is not inlined is compiled for no vectors.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
