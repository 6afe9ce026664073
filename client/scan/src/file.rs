//! What a file is, by its first bytes; and the files of a folder.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
};

use crate::{Error, Scan, Study, dicom::Dicom, guard::guarded, npy, raster};

const MAXIMUM_DICOM_MIB: u64 = 2048;
const MAXIMUM_OTHER_MIB: u64 = 256;

/// What kind of file a scan is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A DICOM object.
    Dicom,
    /// A PNG picture.
    Png,
    /// A JPEG picture.
    Jpeg,
    /// A NumPy array.
    Npy,
}

/// An opened file with one or several frames.
#[derive(Debug)]
pub struct ScanFile {
    kind: Kind,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Dicom(Box<Dicom>),
    Single(Scan),
}

impl ScanFile {
    /// Opens a file, whatever its name. Its size is checked before it is read, and what it holds before it is decoded.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Error::Unknown);
        }
        let mut first = Vec::new();
        file.by_ref().take(132).read_to_end(&mut first)?;
        let kind = kind(&first).ok_or(Error::Unknown)?;
        let limit = if kind == Kind::Dicom { MAXIMUM_DICOM_MIB } else { MAXIMUM_OTHER_MIB };
        if metadata.len() > limit << 20 {
            return Err(Error::TooLarge(limit));
        }
        file.rewind()?;
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.take((limit << 20) + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit << 20 {
            return Err(Error::TooLarge(limit));
        }
        Self::from_bytes(&bytes)
    }

    /// A file of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let kind = kind(bytes).ok_or(Error::Unknown)?;
        let content = guarded(|| {
            Ok(match kind {
                Kind::Dicom => Content::Dicom(Box::new(Dicom::read(bytes)?)),
                Kind::Png => Content::Single(raster::read(bytes, image::ImageFormat::Png)?),
                Kind::Jpeg => Content::Single(raster::read(bytes, image::ImageFormat::Jpeg)?),
                Kind::Npy => Content::Single(npy::read(bytes)?),
            })
        })?;
        Ok(Self { kind, content })
    }

    /// What kind of file it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Frames, 1 or more.
    #[must_use]
    pub fn frames(&self) -> usize {
        match &self.content {
            Content::Dicom(dicom) => dicom.frames(),
            Content::Single(_) => 1,
        }
    }

    /// One frame, counted from 0.
    pub fn frame(&self, at: usize) -> Result<Scan, Error> {
        match &self.content {
            _ if at >= self.frames() => Err(Error::Frame),
            Content::Dicom(dicom) => guarded(|| dicom.frame(at)),
            Content::Single(scan) => Ok(scan.clone()),
        }
    }

    /// Whose scan it is, of a DICOM object.
    #[must_use]
    pub fn study(&self) -> Option<&Study> {
        match &self.content {
            Content::Dicom(dicom) => Some(dicom.study()),
            Content::Single(_) => None,
        }
    }
}

fn kind(first: &[u8]) -> Option<Kind> {
    match first {
        _ if first.get(128..132) == Some(b"DICM") => Some(Kind::Dicom),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Kind::Png),
        [0xff, 0xd8, 0xff, ..] => Some(Kind::Jpeg),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Kind::Npy),
        // Without a preamble: the file meta group, (0002,0000) or (0002,0001), in explicit little endian.
        [2, 0, 0 | 1, 0, b'U' | b'O', b'L' | b'B', ..] => Some(Kind::Dicom),
        _ => None,
    }
}

/// Files that may be scans.
#[derive(Debug, Default)]
pub struct Found {
    /// In order: as named, folders sorted by name.
    pub files: Vec<PathBuf>,
    /// Names and folders that could not be read.
    pub unreadable: Vec<(PathBuf, Error)>,
}

/// The files of these names. Folders are gone through with all below them, except for hidden files and DICOMDIR; a link
/// to a folder that is already being gone through is passed over.
#[must_use]
pub fn find(names: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for name in names {
        match fs::metadata(name) {
            Ok(metadata) if metadata.is_dir() => walk(name, &mut BTreeSet::new(), &mut found),
            Ok(_) => found.files.push(name.clone()),
            Err(error) => found.unreadable.push((name.clone(), error.into())),
        }
    }
    found
}

fn walk(folder: &Path, above: &mut BTreeSet<PathBuf>, found: &mut Found) {
    let listed = fs::canonicalize(folder).and_then(|real| {
        let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
        Ok((real, entries.collect::<Result<Vec<PathBuf>, _>>()?))
    });
    let (real, mut entries) = match listed {
        Ok(listed) => listed,
        Err(error) => return found.unreadable.push((folder.to_owned(), error.into())),
    };
    if !above.insert(real.clone()) {
        return;
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "DICOMDIR" {
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(&path, above, found),
            Ok(_) => found.files.push(path),
            Err(error) => found.unreadable.push((path, error.into())),
        }
    }
    above.remove(&real);
}
