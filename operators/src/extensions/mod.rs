//! What a program adds to the language of its jobs: functions, aggregates and connectors of its own.
//!
//! They are known by name, beside those of the language, wherever a name is looked up. None may have the name of
//! something that the language has, so that a job never changes its meaning with the program that runs it.

mod aggregate;
mod scalar;

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlparser::ast::Expr;
use sqlparser::parser::Parser;

use crate::connectors::{CONNECTORS, Connector};
use crate::expr::functions;
use crate::expr::type_name;
use crate::plan::over_call::only_with_over;
use crate::sql::dialect::JobDialect;
use crate::stateful::accumulators;

pub(crate) use aggregate::unread_type;
pub use aggregate::{AggregateFunction, GroupState, Own};
pub use scalar::ScalarFunction;

use thalweg_engine::schema::DataType;

/// Names that stand for more than a function.
const RESERVED: [&str; 15] = [
    "window",
    "session_window",
    "explode",
    "explode_outer",
    "posexplode",
    "posexplode_outer",
    "inline",
    "inline_outer",
    "stack",
    "json_tuple",
    "predict",
    "predict_all",
    "predict_detail",
    "predict_shadow",
    "model_info",
];

/// What a function takes and gives, for arguments of certain types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The types that the arguments are cast to, one for each.
    pub takes: Vec<DataType>,
    /// The type of the result.
    pub gives: DataType,
}

/// Says what a function takes and gives; the error is a sentence for the author of the job.
type Types = Arc<dyn Fn(&[DataType]) -> Result<Signature, String> + Send + Sync>;

/// The types of a function that always takes the same.
fn fixed(takes: Vec<DataType>, gives: DataType) -> Types {
    Arc::new(move |given| {
        if given.len() != takes.len() {
            let s = if takes.len() == 1 { "" } else { "s" };
            return Err(format!(
                "expected {} argument{s}, got {}",
                takes.len(),
                given.len()
            ));
        }
        Ok(Signature {
            takes: takes.clone(),
            gives: gives.clone(),
        })
    })
}

/// Functions, aggregates and connectors beside those of the language.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    scalars: BTreeMap<String, ScalarFunction>,
    aggregates: BTreeMap<String, &'static accumulators::Function>,
    connectors: Vec<Connector>,
}

impl Extensions {
    /// Adds a function of one row.
    ///
    /// # Errors
    /// When its name is taken, or is none.
    pub fn add_function(&mut self, function: ScalarFunction) -> Result<(), String> {
        let name = self.free_name(function.name())?;
        self.scalars.insert(name, function);
        Ok(())
    }

    /// Adds a function over groups of rows.
    ///
    /// # Errors
    /// As [`Extensions::add_function`].
    pub fn add_aggregate(&mut self, function: AggregateFunction) -> Result<(), String> {
        let name = self.free_name(function.name())?;
        self.aggregates.insert(name, function.declare());
        Ok(())
    }

    /// Adds a connector.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn add_connector(&mut self, connector: Connector) -> Result<(), String> {
        let name = connector.name;
        if name.is_empty() || name != name.to_lowercase() {
            return Err(format!(
                "the connector `{name}` needs a name in lower case, as it is known after USING"
            ));
        }
        if CONNECTORS.iter().any(|known| known.name == name) {
            return Err(format!(
                "the language has a connector `{name}`: give yours another name"
            ));
        }
        if self.connectors.iter().any(|known| known.name == name) {
            return Err(format!("the connector `{name}` is added twice"));
        }
        self.connectors.push(connector);
        Ok(())
    }

    /// All connectors, those of the language first.
    pub fn all_connectors(&self) -> Vec<Connector> {
        CONNECTORS.iter().chain(&self.connectors).copied().collect()
    }

    /// The own functions with their manuals: how each is called, and what it gives.
    pub fn manual(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let scalars = self.scalars.values();
        let scalars = scalars.map(|one| (one.name(), one.signature(), one.about_it()));
        let aggregates = self.aggregates.values();
        let aggregates = aggregates.map(|one| (one.name, one.signature, one.about));
        scalars.chain(aggregates).collect()
    }

    /// The own function of this name in lower case.
    pub(crate) fn scalar(&self, name: &str) -> Option<&ScalarFunction> {
        self.scalars.get(name)
    }

    /// The aggregate of this name in any case, of the language or own.
    pub(crate) fn aggregate(&self, name: &str) -> Option<&'static accumulators::Function> {
        accumulators::find(name).or_else(|| {
            self.aggregates
                .get(name.to_ascii_lowercase().as_str())
                .copied()
        })
    }

    /// Whether a function of this name in lower case is an own one.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.scalars.contains_key(name) || self.aggregates.contains_key(name)
    }

    /// The names of the own functions of one row.
    pub(crate) fn scalar_names(&self) -> impl Iterator<Item = &str> {
        self.scalars.keys().map(String::as_str)
    }

    /// The names of the own aggregates.
    pub(crate) fn aggregate_names(&self) -> impl Iterator<Item = &str> {
        self.aggregates.keys().map(String::as_str)
    }

    fn free_name(&self, name: &'static str) -> Result<String, String> {
        let lower = name.to_ascii_lowercase();
        let taken = functions::find(&lower).is_some()
            || accumulators::find(&lower).is_some()
            || only_with_over(&lower)
            || type_name::is_simple(&lower)
            || RESERVED.contains(&lower.as_str());
        if taken {
            return Err(format!(
                "the language has a function `{name}`: give yours another name"
            ));
        }
        if !is_call(&lower) {
            return Err(format!(
                "`{name}` cannot be called in SQL: a function's name is a word of letters, digits and _ that is no \
                 keyword"
            ));
        }
        if self.knows(&lower) {
            return Err(format!("the function `{name}` is added twice"));
        }
        Ok(lower)
    }
}

/// Whether SQL takes this name for that of a function.
fn is_call(name: &str) -> bool {
    let word = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let parsed = || {
        let text = format!("{name}(1)");
        Parser::new(&JobDialect)
            .try_with_sql(&text)
            .and_then(|mut parser| parser.parse_expr())
    };
    word && matches!(parsed(), Ok(Expr::Function(call)) if call.name.to_string() == name)
}

#[cfg(test)]
mod tests {
    use thalweg_engine::row::Value;

    use super::*;

    fn named(name: &'static str) -> ScalarFunction {
        ScalarFunction::new(name, [DataType::Int], DataType::Int, |_| Ok(Value::Null))
    }

    #[test]
    fn no_own_function_takes_a_name_of_the_language() {
        let mut extensions = Extensions::default();
        for taken in [
            "upper",
            "SUM",
            "mean",
            "row_number",
            "window",
            "explode",
            "int",
        ] {
            let refused = extensions.add_function(named(taken)).unwrap_err();
            assert!(refused.contains("give yours another name"), "{refused}");
        }
        for no_name in ["two words", "", "1st", "größe"] {
            let refused = extensions.add_function(named(no_name)).unwrap_err();
            assert!(refused.contains("cannot be called"), "{refused}");
        }
        extensions.add_function(named("longest_text")).unwrap();
        let twice = extensions.add_function(named("Longest_Text")).unwrap_err();
        assert!(twice.contains("added twice"), "{twice}");
    }

    #[test]
    fn no_own_connector_takes_the_name_of_another() {
        let mut extensions = Extensions::default();
        let named = |name| Connector {
            name,
            ..CONNECTORS[0]
        };
        let refused = extensions.add_connector(named("kafka")).unwrap_err();
        assert!(refused.contains("give yours another name"), "{refused}");
        assert!(extensions.add_connector(named("Ticker")).is_err());
        extensions.add_connector(named("ticker")).unwrap();
        assert!(extensions.add_connector(named("ticker")).is_err());
    }
}
