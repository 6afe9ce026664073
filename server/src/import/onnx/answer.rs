//! Steps behind the last layer: they keep the order of the scores or make an answer from them, and are left to the
//! client. Class names among them are read.

use super::operator::Operator;
use super::tensor;
use super::{ImportError, Reader, Value, check_cast};

impl<'a> Reader<'a> {
    /// Takes the tensor at the chain's end as the scores.
    pub(super) fn close(&mut self, operator: &Operator<'a>, step: usize) -> Result<(), ImportError> {
        self.check_end(operator, step)?;
        if !self.chain.has_scores() {
            return Err(operator.breaks("must stand behind the linear layer; in front it changes the scores"));
        }
        self.chain.close();
        Ok(())
    }

    /// A step whose input is the scores or was made from them.
    pub(super) fn behind(
        &mut self,
        operator: &Operator<'a>,
        value: Value<'a>,
    ) -> Result<Value<'a>, ImportError> {
        use Value::{Answer, Pair, Position, Probabilities, Scores};
        let last_axis = |default| Ok::<_, ImportError>(matches!(operator.int("axis", default)?, 1 | -1));
        let value = match (operator.name(), value) {
            ("Identity", _) | ("Cast", Position { .. } | Answer) => value,
            ("Cast", Scores | Probabilities | Pair) => {
                check_cast(operator)?;
                value
            }
            ("Softmax" | "LogSoftmax", Scores | Probabilities) if last_axis(-1)? => Scores,
            ("Sigmoid", Scores | Probabilities) => Scores,
            ("ArgMax", Scores | Probabilities) if last_axis(0)? => Position { of_pair: false },
            ("ArgMax", Pair) if last_axis(0)? => Position { of_pair: true },
            ("Softmax" | "LogSoftmax" | "ArgMax", Scores | Probabilities | Pair) => {
                return Err(operator.breaks("axis must be that of the classes, 1 or -1"));
            }
            // A row of negative scores divided by its maximum is in the opposite order.
            ("Normalizer", Scores) if !matches!(operator.string("norm", "MAX")?, b"L1" | b"L2") => {
                return Err(operator.breaks("norm must be L1 or L2"));
            }
            ("Normalizer", Scores) => value,
            ("ZipMap", Scores | Probabilities | Pair) => Answer,
            ("Reshape", Position { .. } | Answer) => {
                self.constant(operator, 1, "shape")?;
                Answer
            }
            _ => return Err(operator.breaks("is not supported at this place in the model")),
        };
        self.ignored.push(operator.name().to_owned());
        Ok(value)
    }

    /// 1 - probability, of a single score.
    pub(super) fn complement(
        &mut self,
        operator: &Operator<'a>,
        one: &super::Tensor,
    ) -> Result<Value<'a>, ImportError> {
        if operator.name() != "Sub" || !tensor::is_one(one) || self.chain.classes() != Some(1) {
            return Err(operator.breaks("behind a Sigmoid must take one probability from 1"));
        }
        self.ignored.push("Sub".to_owned());
        Ok(Value::Complement)
    }

    /// A Concat of the one probability and its complement.
    pub(super) fn pair(&mut self, operator: &Operator<'a>) -> Result<Value<'a>, ImportError> {
        match (self.input(operator, 0)?, self.input(operator, 1)?, operator.int("axis", 0)?) {
            (Value::Complement, Value::Probabilities, 1 | -1) => {
                self.ignored.push("Concat".to_owned());
                Ok(Value::Pair)
            }
            _ => Err(operator.breaks("may only put a probability behind its complement")),
        }
    }

    /// A label, picked by position from a list of class names.
    pub(super) fn pick(&mut self, operator: &Operator<'a>) -> Result<Value<'a>, ImportError> {
        let Value::Position { of_pair } = self.input(operator, 1)? else {
            return Err(operator.breaks("must pick the class name at the position of the highest score"));
        };
        let labels = tensor::labels(self.constant(operator, 0, "class names")?)?;
        let classes = if of_pair { Some(2) } else { self.chain.classes() };
        if let Some(expected) = classes.filter(|classes| *classes != labels.len()) {
            let got = labels.len();
            return Err(ImportError::ShapeMismatch { what: "class names", got, expected });
        }
        self.chain.name(operator, labels)?;
        self.ignored.push("ArrayFeatureExtractor".to_owned());
        Ok(Value::Answer)
    }
}
