//! The layers of a model in their order: linear layers with a ReLU between them, and steps that scale and shift. Such
//! a step is folded into the linear layer it touches; behind a ReLU it becomes a part of the hidden layer.

use tiresias_circuits::mlp::{HiddenLayer, MAXIMUM_HIDDEN_LAYERS, MAXIMUM_NEURONS, MlpHead};

use super::affine::Affine;
use super::linear::Linear;
use super::operator::Operator;
use super::{ImportError, ImportedHead};

/// What has been read of the layers. A tensor of the chain is known by the number of steps before it, so that a tensor
/// that another step has used already is told from the one at the end.
#[derive(Default)]
pub(super) struct Chain {
    /// What stands in front of the first linear layer.
    front: Affine,
    hidden: Vec<Hidden>,
    /// The layer at the end, until a ReLU makes it a hidden one.
    linear: Option<Linear>,
    steps: usize,
    /// Whether the features went through a Flatten.
    flattened: bool,
    /// Whether the layer is one at each location of a map.
    pointwise: bool,
    /// Whether a step behind the layers has read the scores.
    closed: bool,
}

/// affine(ReLU(linear(x))).
struct Hidden {
    linear: Linear,
    affine: Affine,
}

impl Chain {
    /// The tensor at the end of the chain.
    pub(super) fn end(&self) -> usize {
        self.steps
    }

    /// Whether the tensor at the end is that of scores, unless a ReLU follows.
    pub(super) fn has_scores(&self) -> bool {
        self.linear.is_some()
    }

    /// Features d, once there is a linear layer.
    pub(super) fn features(&self) -> Option<usize> {
        self.hidden.first().map(|hidden| &hidden.linear).or(self.linear.as_ref()).map(Linear::inputs)
    }

    /// Scores of the layer at the end.
    pub(super) fn classes(&self) -> Option<usize> {
        self.linear.as_ref().map(Linear::rows)
    }

    pub(super) fn flattened(&self) -> bool {
        self.flattened
    }

    pub(super) fn pointwise(&self) -> bool {
        self.pointwise
    }

    /// Takes in a 1 x 1 convolution, which must be the only layer: numbers that another step has for each column would stand for
    /// columns of the map here.
    pub(super) fn convolution(&mut self, operator: &Operator<'_>, linear: Linear) -> Result<(), ImportError> {
        if self.steps > 0 {
            return Err(operator.breaks("must be the only layer"));
        }
        self.linear(operator, linear)?;
        (self.pointwise, self.closed) = (true, true);
        Ok(())
    }

    /// Says that the tensor at the end holds the scores: nothing may change them from here on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Takes in a step that makes a new tensor from the one at the end.
    fn advance(&mut self, operator: &Operator<'_>) -> Result<(), ImportError> {
        if self.closed {
            return Err(operator.breaks("must not change scores that another step has read"));
        }
        self.steps += 1;
        Ok(())
    }

    /// A Flatten. Behind the first linear layer a row is flat already.
    pub(super) fn flatten(&mut self, operator: &Operator<'_>) -> Result<(), ImportError> {
        if operator.int("axis", 1)? != 1 {
            return Err(operator.breaks("axis must be 1"));
        }
        self.flattened |= self.features().is_none();
        self.advance(operator)
    }

    pub(super) fn affine(&mut self, operator: &Operator<'_>, affine: &Affine) -> Result<(), ImportError> {
        self.advance(operator)?;
        match (&mut self.linear, self.hidden.last_mut()) {
            (Some(linear), _) => linear.fold_behind(affine),
            (None, Some(hidden)) => {
                // The width is checked here, where the rule that is broken can still be told.
                affine.spread(hidden.linear.rows())?;
                hidden.affine = std::mem::take(&mut hidden.affine).then(affine)?;
                Ok(())
            }
            (None, None) => {
                self.front = std::mem::take(&mut self.front).then(affine)?;
                Ok(())
            }
        }
    }

    pub(super) fn linear(&mut self, operator: &Operator<'_>, mut linear: Linear) -> Result<(), ImportError> {
        if self.closed || self.linear.is_some() {
            return Err(ImportError::SecondLinearLayer { operator: operator.name() });
        }
        self.advance(operator)?;
        match self.hidden.last().map(|hidden| hidden.linear.rows()) {
            None => linear.fold_front(&self.front)?,
            Some(expected) if linear.inputs() != expected => {
                let what = "inputs of a layer behind a ReLU";
                return Err(ImportError::ShapeMismatch { what, got: linear.inputs(), expected });
            }
            Some(_) => {}
        }
        self.linear = Some(linear);
        Ok(())
    }

    pub(super) fn relu(&mut self, operator: &Operator<'_>) -> Result<(), ImportError> {
        self.advance(operator)?;
        let linear =
            self.linear.take().ok_or(operator.breaks("must stand directly behind a linear layer"))?;
        if linear.rows() > MAXIMUM_NEURONS {
            return Err(ImportError::TooLarge { what: "neurons in a hidden layer", limit: MAXIMUM_NEURONS });
        }
        if self.hidden.len() == MAXIMUM_HIDDEN_LAYERS {
            return Err(ImportError::TooLarge { what: "hidden layers", limit: MAXIMUM_HIDDEN_LAYERS });
        }
        self.hidden.push(Hidden { linear, affine: Affine::default() });
        Ok(())
    }

    /// Names the classes, or if there are two names for one score, scores both.
    pub(super) fn name(&mut self, operator: &Operator<'_>, labels: Vec<String>) -> Result<(), ImportError> {
        match &mut self.linear {
            Some(linear) if !linear.has_labels() => linear.name(labels),
            _ => Err(operator.breaks("must not name classes that have names")),
        }
    }

    pub(super) fn into_head(self) -> Result<ImportedHead, ImportError> {
        let Some(linear) = self.linear else {
            return Err(match self.hidden.is_empty() {
                true => ImportError::NoLinearLayer,
                false => ImportError::OperatorRule {
                    operator: "Relu",
                    rule: "must not be the last layer: a linear layer must follow it",
                },
            });
        };
        let output = linear.into_head()?;
        if self.hidden.is_empty() {
            return Ok(ImportedHead::Linear(output));
        }
        let hidden: Result<_, ImportError> = self.hidden.into_iter().map(Hidden::into_layer).collect();
        Ok(ImportedHead::Mlp(MlpHead::new(hidden?, output)?))
    }
}

impl Hidden {
    fn into_layer(self) -> Result<HiddenLayer, ImportError> {
        let (scale, shift) = self.affine.spread(self.linear.rows())?;
        let (weight, bias) = self.linear.into_numbers();
        Ok(HiddenLayer::new(weight, bias, scale, shift)?)
    }
}
