//! Bootstraps with every kernel of this processor, and the transform that it would choose: the same bytes. `portable.rs`
//! does the same with the portable transform.

#[path = "common/bootstraps.rs"]
mod bootstraps;

#[test]
fn bootstraps_are_the_same_bytes_with_every_kernel() {
    bootstraps::check();
}
