//! Explanations that a model owner consents to: contributions of feature groups to scores, and class-activation maps.
//!
//! **Groups.** The features are divided into G groups. Each class has a row for its score and one for each group, with
//! that group's weights alone and no bias, so that
//!
//! ```text
//! score_k = contribution_k,1 + ... + contribution_k,G + bias_k
//! ```
//!
//! in exact integers. A contribution is relative to features at the quantizer's offsets: the middles of their
//! calibrated ranges, or 0. One answer tells G + 1 numbers a class, so the head is known after as many vectors as the
//! largest group has features, and the plan says so.
//!
//! **Maps.** A backbone that ends in global average pooling gives features at each of L locations, whose mean the
//! head scores. A linear head commutes with the mean, so its scores at the locations are the class-activation maps
//! (Zhou et al.: Learning deep features for discriminative localization, CVPR 2016) and their mean is the scan's score.
//! The locations are asked for like L patients, and charged like them.

use crate::{Error, HeadShape, QuantizedHead, head::check_labels};

/// The most locations of a map: 64 x 64.
pub const MAXIMUM_LOCATIONS: usize = 4096;

/// What a model owner lets clients see besides scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// The contribution of each group of features to each score.
    Groups(Groups),
    /// Scores at each location of a feature map.
    Map(MapShape),
}

impl Explanation {
    /// The groups, where that is the explanation.
    #[must_use]
    pub fn groups(&self) -> Option<&Groups> {
        match self {
            Self::Groups(groups) => Some(groups),
            Self::Map(_) => None,
        }
    }

    /// The map, where that is the explanation.
    #[must_use]
    pub fn map(&self) -> Option<MapShape> {
        match self {
            Self::Groups(_) => None,
            Self::Map(map) => Some(*map),
        }
    }
}

/// How many groups there are, and how many features the largest has: what a plan needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// Groups G.
    pub groups: usize,
    /// Features of the largest group.
    pub largest: usize,
}

/// Locations of a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapShape {
    height: usize,
    width: usize,
}

impl MapShape {
    /// A map of `height` rows of `width` locations. Errors where it has none, or more than [`MAXIMUM_LOCATIONS`].
    pub fn new(height: usize, width: usize) -> Result<Self, Error> {
        match height.checked_mul(width) {
            Some(1..=MAXIMUM_LOCATIONS) => Ok(Self { height, width }),
            _ => Err(Error::OutOfRange { what: "locations of a map", rule: "1 to 4096" }),
        }
    }

    /// Rows of locations.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Locations of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Locations L.
    #[must_use]
    pub fn locations(&self) -> usize {
        self.height * self.width
    }

    /// The integer scores of a scan, in units of 1/L of a score: the sums of those at its L locations, each of K classes.
    /// Errors where there are not L of them.
    pub fn sum(&self, scores_q: &[&[i64]]) -> Result<Vec<i64>, Error> {
        if scores_q.len() != self.locations() {
            return Err(Error::Shape { what: "locations", got: scores_q.len(), expected: self.locations() });
        }
        let classes = scores_q.first().map_or(0, |scores| scores.len());
        let mut sums = vec![0_i64; classes];
        for scores in scores_q {
            sums.iter_mut().zip(*scores).for_each(|(sum, score)| *sum += score);
        }
        Ok(sums)
    }
}

impl std::str::FromStr for MapShape {
    type Err = Error;

    /// Reads HEIGHTxWIDTH, such as 7x7.
    fn from_str(text: &str) -> Result<Self, Error> {
        let sides =
            text.split_once('x').and_then(|(height, width)| height.parse().ok().zip(width.parse().ok()));
        let (height, width) =
            sides.ok_or(Error::OutOfRange { what: "a map's shape", rule: "HEIGHTxWIDTH, such as 7x7" })?;
        Self::new(height, width)
    }
}

/// Features divided into named groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    names: Vec<String>,
    of_feature: Vec<usize>,
}

/// A grouped head's answer, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Explained {
    /// One integer score a class.
    pub scores_q: Vec<i64>,
    /// For each class the G integer contributions.
    pub contributions_q: Vec<Vec<i64>>,
}

impl Groups {
    /// Groups of these names; feature i belongs to group `of_feature[i]`. Errors where names break the rules of labels,
    /// a group has no feature or a feature no group.
    pub fn new(names: Vec<String>, of_feature: Vec<usize>) -> Result<Self, Error> {
        check_labels(&names)?;
        let mut has_feature = vec![false; names.len()];
        for &group in &of_feature {
            *has_feature.get_mut(group).ok_or(NO_GROUP)? = true;
        }
        if names.is_empty() || !has_feature.iter().all(|has| *has) {
            return Err(NO_GROUP);
        }
        Ok(Self { names, of_feature })
    }

    /// Groups from text with the name of each feature's group, one feature a line; features of one name are a group.
    pub fn from_lines(text: &str) -> Result<Self, Error> {
        let mut names: Vec<String> = Vec::new();
        let group = |line: &str| {
            let name = line.trim();
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let of_feature = text.lines().map(group).collect();
        Self::new(names, of_feature)
    }

    /// One name a group.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The group of each feature.
    #[must_use]
    pub fn of_feature(&self) -> &[usize] {
        &self.of_feature
    }

    /// What a plan needs to know of them.
    #[must_use]
    pub fn grouping(&self) -> Grouping {
        let size = |group| self.of_feature.iter().filter(|of| **of == group).count();
        let largest = (0..self.names.len()).map(size).max().unwrap_or(0);
        Grouping { groups: self.names.len(), largest }
    }

    /// The head with a row for each class's score and one for each of its groups behind it.
    pub fn expand(&self, head: &QuantizedHead) -> Result<QuantizedHead, Error> {
        let shape = head.shape();
        if self.of_feature.len() != shape.features {
            return Err(Error::Shape {
                what: "features with a group",
                got: self.of_feature.len(),
                expected: shape.features,
            });
        }
        let rows = 1 + self.names.len();
        let mut weight = Vec::with_capacity(head.weight().len().saturating_mul(rows));
        let mut bias = Vec::with_capacity(shape.classes.saturating_mul(rows));
        for (weights, class_bias) in head.weight().chunks_exact(shape.features).zip(head.bias()) {
            weight.extend_from_slice(weights);
            bias.push(*class_bias);
            for group in 0..self.names.len() {
                let of = weights.iter().zip(&self.of_feature);
                weight.extend(of.map(|(weight, of)| if *of == group { *weight } else { 0 }));
                bias.push(0);
            }
        }
        QuantizedHead::new(HeadShape { classes: shape.classes.saturating_mul(rows), ..*shape }, weight, bias)
    }

    /// Takes the integer scores of an expanded head apart.
    #[must_use]
    pub fn split(&self, rows_q: &[i64]) -> Explained {
        let classes = rows_q.chunks_exact(1 + self.names.len());
        Explained {
            scores_q: classes.clone().filter_map(|class| class.first().copied()).collect(),
            contributions_q: classes.map(|class| class[1..].to_vec()).collect(),
        }
    }
}

const NO_GROUP: Error = Error::OutOfRange {
    what: "groups of features",
    rule: "a name for each feature's group, and a feature for each group",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, Privacy, clear};

    fn groups() -> Groups {
        Groups::from_lines("size\ntexture\nsize\nshape\n").unwrap()
    }

    #[test]
    fn contributions_and_bias_add_up_to_the_score() {
        let shape = HeadShape { features: 4, classes: 2, feature_bits: 8, weight_bits: 8 };
        let weight = vec![3, -7, 127, 0, -127, 1, 2, 64];
        let head = QuantizedHead::new(shape, weight, vec![11, -40]).unwrap();
        let expanded = groups().expand(&head).unwrap();
        let row = [127, -3, -50, 9];
        let explained = groups().split(&clear::scores(&expanded, &row).unwrap());
        assert_eq!(explained.scores_q, clear::scores(&head, &row).unwrap());
        for ((score, contributions), bias) in
            explained.scores_q.iter().zip(&explained.contributions_q).zip(head.bias())
        {
            assert_eq!(*score, contributions.iter().sum::<i64>() + bias);
        }
        assert_eq!(explained.contributions_q[0], [3 * 127 - 127 * 50, 21, 0]);
        assert_eq!(groups().grouping(), Grouping { groups: 3, largest: 2 });
    }

    #[test]
    fn the_plan_says_how_soon_a_grouped_head_is_known() {
        let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
        let plain = Plan::new(shape, Privacy::Flooded).unwrap();
        let grouped = Plan::explained(shape, Grouping { groups: 10, largest: 3 }, Privacy::Flooded).unwrap();
        assert_eq!(grouped.answers(), 22);
        assert_eq!(plain.leak().vectors_to_determine, Some(31));
        assert_eq!(grouped.leak().vectors_to_determine, Some(3));
        assert!(grouped.leak().vectors_for_any_client < plain.leak().vectors_for_any_client);
    }

    #[test]
    fn groups_cover_all_features_and_none_is_empty() {
        assert!(Groups::new(vec!["a".into()], vec![0, 1]).is_err());
        assert!(Groups::new(vec!["a".into(), "b".into()], vec![0, 0]).is_err());
        assert!(Groups::new(vec!["a".into(), "a".into()], vec![0, 1]).is_err());
        assert!(Groups::from_lines("").is_err());
        assert!(Groups::from_lines("a\n\nb\n").is_err());
        let shape = HeadShape { features: 3, classes: 1, feature_bits: 4, weight_bits: 4 };
        let head = QuantizedHead::new(shape, vec![1, 2, 3], vec![0]).unwrap();
        assert!(groups().expand(&head).is_err());
    }

    #[test]
    fn a_scan_scores_the_sum_of_its_locations() {
        let map = MapShape::new(1, 3).unwrap();
        assert_eq!(map.sum(&[&[1, -2], &[3, 4], &[-9, 5]]).unwrap(), [-5, 7]);
        assert!(map.sum(&[&[1, 2]]).is_err());
        assert!(MapShape::new(0, 3).is_err());
        assert!(MapShape::new(65, 64).is_err());
        assert!(MapShape::new(usize::MAX, 2).is_err());
        assert_eq!("7x14".parse::<MapShape>().unwrap(), MapShape::new(7, 14).unwrap());
        for text in ["", "7", "x7", "7x", "7x7x7", "-1x7", "65x64"] {
            assert!(text.parse::<MapShape>().is_err(), "{text}");
        }
    }
}
