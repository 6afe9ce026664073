//! Whose scan it is, and of which examination: what a report repeats. It goes into reports on this machine and nowhere
//! else, and `Debug` shows none of it.

use std::fmt;

/// The identifying attributes of a DICOM object; empty where it has none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Study {
    /// (0010,0020).
    pub patient_id: String,
    /// (0010,0021): who gave that id out.
    pub issuer_of_patient_id: String,
    /// (0010,0010), in the form Family^Given.
    pub patient_name: String,
    /// (0010,0030), YYYYMMDD.
    pub patient_birth_date: String,
    /// (0010,0040).
    pub patient_sex: String,
    /// (0008,0050).
    pub accession_number: String,
    /// (0020,000D).
    pub study_instance_uid: String,
    /// (0020,0010).
    pub study_id: String,
    /// (0008,0020), YYYYMMDD.
    pub study_date: String,
    /// (0008,0030), HHMMSS.
    pub study_time: String,
    /// (0008,0201): what dates and times here are told at, such as +0100.
    pub timezone_offset: String,
    /// (0008,1030).
    pub study_description: String,
    /// (0008,0090).
    pub referring_physician: String,
    /// (0020,000E).
    pub series_instance_uid: String,
    /// (0008,0016).
    pub sop_class_uid: String,
    /// (0008,0018).
    pub sop_instance_uid: String,
    /// (0008,0060).
    pub modality: String,
    /// (0020,0052).
    pub frame_of_reference_uid: String,
}

impl fmt::Debug for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Study(..)")
    }
}
