//! Writes the values and the picture of each frame of scans, for comparison with other readers:
//! `values OUT FILE...` writes `OUT/<file>-<frame>.values` and `.picture`, 32-bit floats in row order, and prints a line
//! of tab-separated fields for each: file, frame, height, width, channels; or file, `error`, code, message.
#![expect(clippy::print_stdout, reason = "a tool for comparisons")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tiresias_scan::{Error, ScanFile, find};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().ok_or("values OUT FILE...")?;
    let found = find(&arguments.collect::<Vec<_>>());
    for (at, path) in found.files.iter().enumerate() {
        if let Err(error) = dump(at, path, &out)? {
            println!("{}\terror\t{}\t{error}", path.display(), error.code());
        }
    }
    Ok(())
}

fn dump(at: usize, path: &Path, out: &Path) -> Result<Result<(), Error>, std::io::Error> {
    let bytes = |samples: &[f32]| samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>();
    let file = match ScanFile::open(path) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    for frame in 0..file.frames() {
        let (scan, picture) =
            match file.frame(frame).and_then(|scan| scan.picture(None).map(|picture| (scan, picture))) {
                Ok(read) => read,
                Err(error) => return Ok(Err(error)),
            };
        fs::write(out.join(format!("{at}-{frame}.values")), bytes(scan.values()))?;
        fs::write(out.join(format!("{at}-{frame}.picture")), bytes(picture.samples()))?;
        let (height, width, channels) = (scan.height(), scan.width(), scan.channels());
        println!("{}\t{frame}\t{height}\t{width}\t{channels}\t{at}", path.display());
    }
    Ok(Ok(()))
}
