//! No core files: weights and the TLS key are in this process's memory, and a core file would put them on a disk.

/// From here on a crash leaves no core file, and no pipe is fed with one.
pub fn forbid() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Too short for a file; and where a program takes core files, Linux knows this number as a no.
        const NOTHING: u64 = 1;
        let most = getrlimit(Resource::Core).maximum.map_or(NOTHING, |most| most.min(NOTHING));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if setrlimit(Resource::Core, limit).is_err() {
            tracing::warn!("core files could not be switched off");
        }
    }
}
