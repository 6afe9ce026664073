//! Pages for secrets: never swapped, left out of core dumps, wiped before they are unmapped.
#![cfg_attr(unix, expect(unsafe_code, reason = "page locking: raw pages from mmap, viewed as words"))]

#[cfg(not(unix))]
pub(crate) use portable::LockedWords;
#[cfg(unix)]
pub(crate) use unix::LockedWords;

#[cfg(unix)]
mod unix {
    use std::ptr::{self, NonNull};

    use rustix::mm;
    use zeroize::Zeroize;

    use crate::Error;

    /// `len` zeroed words on pages of their own.
    pub(crate) struct LockedWords {
        start: NonNull<u64>,
        len: usize,
        is_locked: bool,
    }

    // SAFETY: the pages belong to this value alone; access follows the borrow rules of `Deref` and `DerefMut`.
    unsafe impl Send for LockedWords {}
    // SAFETY: as above; shared references only read.
    unsafe impl Sync for LockedWords {}

    impl LockedWords {
        /// Maps and locks pages. Where the lock limit (`ulimit -l`) is exhausted the pages are used unlocked, which
        /// [`LockedWords::is_locked`] tells.
        pub(crate) fn zeroed(len: usize) -> Result<Self, Error> {
            let (prot, flags) = (mm::ProtFlags::READ | mm::ProtFlags::WRITE, mm::MapFlags::PRIVATE);
            // SAFETY: a fresh anonymous mapping aliases nothing.
            let raw = unsafe { mm::mmap_anonymous(ptr::null_mut(), len * 8, prot, flags) };
            let start = raw.ok().and_then(|raw| NonNull::new(raw.cast::<u64>())).ok_or(Error::Memory)?;
            // SAFETY: the range was mapped above and stays mapped until drop.
            let is_locked = unsafe { mm::mlock(start.as_ptr().cast(), len * 8) }.is_ok();
            #[cfg(target_os = "linux")]
            // SAFETY: as above. Advice that is refused changes nothing.
            let _ = unsafe { mm::madvise(start.as_ptr().cast(), len * 8, mm::Advice::LinuxDontDump) };
            Ok(Self { start, len, is_locked })
        }

        pub(crate) fn is_locked(&self) -> bool {
            self.is_locked
        }
    }

    impl std::ops::Deref for LockedWords {
        type Target = [u64];

        fn deref(&self) -> &[u64] {
            // SAFETY: `len` words are mapped, page aligned and initialised to zero by the kernel.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
        }
    }

    impl std::ops::DerefMut for LockedWords {
        fn deref_mut(&mut self) -> &mut [u64] {
            // SAFETY: as in `deref`, and `&mut self` makes the access unique.
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
        }
    }

    impl Drop for LockedWords {
        fn drop(&mut self) {
            self.zeroize();
            // SAFETY: the range was mapped by `zeroed` and no reference outlives `self`. Unmapping unlocks.
            let _ = unsafe { mm::munmap(self.start.as_ptr().cast(), self.len * 8) };
        }
    }
}

#[cfg(not(unix))]
mod portable {
    use zeroize::Zeroizing;

    use crate::Error;

    /// `len` zeroed words, wiped on drop. This platform has no page locking here.
    pub(crate) struct LockedWords(Zeroizing<Vec<u64>>);

    impl LockedWords {
        pub(crate) fn zeroed(len: usize) -> Result<Self, Error> {
            Ok(Self(Zeroizing::new(vec![0; len])))
        }

        pub(crate) fn is_locked(&self) -> bool {
            false
        }
    }

    impl std::ops::Deref for LockedWords {
        type Target = [u64];

        fn deref(&self) -> &[u64] {
            &self.0
        }
    }

    impl std::ops::DerefMut for LockedWords {
        fn deref_mut(&mut self) -> &mut [u64] {
            &mut self.0
        }
    }
}
