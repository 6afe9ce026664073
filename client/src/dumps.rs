//! No core files: features and scores are in this process's memory, and a core file would put them on a disk. Keys lie in
//! pages that are left out of one anyway.

/// From here on a crash leaves no core file, and no pipe is fed with one.
pub fn forbid() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Too short for a file; and where a program takes core files, Linux knows this number as a no.
        const NOTHING: u64 = 1;
        let most = getrlimit(Resource::Core).maximum.map_or(NOTHING, |most| most.min(NOTHING));
        // Where the system refuses, keys are left out all the same.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) });
    }
}
