//! Calls of models in expressions: `predict`, `predict_all`, `predict_detail`, `predict_shadow` and `model_info`, checked and typed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use smol_str::SmolStr;
use sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::predict::{Gives, Info, Predict};
use super::signature::Element;
use super::{Deadline, Model};
use crate::expr::Eval;
use crate::expr::body::Body;
use crate::expr::check::Checker;
use crate::expr::coerce;
use crate::expr::path;
use crate::expr::typed::{Call, Form, Kind, Op, Typed};
use crate::job_error::{JobError, Location};
use thalweg_engine::clock::now;

/// The name of the argument that FALLBACK becomes.
pub(crate) const FALLBACK: &str = "FALLBACK";

/// Whether a name in lower case is that of a function of models.
pub(crate) fn is_model_call(name: &str) -> bool {
    [
        "predict",
        "predict_all",
        "predict_detail",
        "predict_shadow",
        "model_info",
    ]
    .contains(&name)
}

/// The fallback of a call, where it is written.
fn fallback_of(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Named {
            name,
            arg: FunctionArgExpr::Expr(expr),
            ..
        } if name.value == FALLBACK => Some(expr),
        _ => None,
    }
}

/// Checks a call.
pub(crate) fn bind(
    checker: &mut Checker<'_>,
    name: &str,
    function: &ast::Function,
    at: Location,
) -> Result<Typed, JobError> {
    let called = match name {
        "model_info" => "model_info('name')".to_owned(),
        "predict_shadow" => format!("{name}('name', named_struct('feature', value, ...))"),
        _ => format!("{name}('name', named_struct('feature', value, ...)) [FALLBACK value]"),
    };
    let wrong = |message: String| {
        JobError::new(at, format!("{name}: {message}")).help(format!("it is called {called}"))
    };
    let FunctionArguments::List(list) = &function.args else {
        return Err(wrong("takes the name of a model".to_owned()));
    };
    let mut args = Vec::new();
    let mut fallback = None;
    for arg in &list.args {
        match (fallback_of(arg), arg) {
            (Some(expr), _) => fallback = Some(expr),
            (None, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => args.push(expr),
            (None, other) => return Err(wrong(format!("expected an expression, got `{other}`"))),
        }
    }
    let wanted = if name == "model_info" { 1 } else { 2 };
    if args.len() != wanted {
        let s = if wanted == 1 { "" } else { "s" };
        return Err(wrong(format!(
            "expected {wanted} argument{s}, got {}",
            args.len()
        )));
    }
    let first = checker.expr(args[0], at)?;
    let Some(given) = first.constant_text() else {
        return Err(wrong(
            "the first argument is the name of a model in quotes".to_owned(),
        ));
    };
    let model = find(checker, given, first.at, at)?;
    let gives = match name {
        "predict_all" => Gives::All,
        "predict_detail" => Gives::Detail,
        "predict_shadow" => Gives::Shadow,
        _ => Gives::Score,
    };
    // The shadow is asked about every key.
    let key = match gives {
        Gives::Shadow => None,
        _ => key(checker, &model, at)?,
    };
    if name == "model_info" {
        return Ok(info(model, key, at));
    }
    let features = checker.expr(args[1], at)?;
    let fallback = fallback.map(|expr| checker.expr(expr, at)).transpose()?;
    let deadline = checker.scope.models.deadline;
    let written = Written {
        name,
        model,
        gives,
        deadline,
        settings: checker.settings(),
        at,
    };
    written.bind(&features, key, fallback)
}

/// The model of this name.
fn find(
    checker: &Checker<'_>,
    name: &str,
    named: Location,
    at: Location,
) -> Result<Arc<Model>, JobError> {
    let models = &checker.scope.models;
    let found = models
        .all
        .iter()
        .find(|model| model.name.eq_ignore_ascii_case(name));
    let Some(model) = found else {
        let at = if named.line > 0 { named } else { at };
        let error = JobError::new(at, format!("unknown model `{name}`"))
            .nearest(name, models.all.iter().map(|model| model.name.as_str()));
        return Err(if error.help.is_some() {
            error
        } else {
            error.help("declare it above: CREATE MODEL name USING onnx OPTIONS (path '...')")
        });
    };
    let mut used = models.used.lock();
    if !used.iter().any(|known| known.id == model.id) {
        used.push(Arc::clone(model));
    }
    Ok(Arc::clone(model))
}

/// The column that decides between a model and its canary.
fn key(checker: &Checker<'_>, model: &Model, at: Location) -> Result<Option<Typed>, JobError> {
    let Some(canary) = &model.options.canary else {
        return Ok(None);
    };
    let parts: Vec<&str> = canary.key.split('.').collect();
    let found = checker
        .scope
        .resolve(&parts, at)
        .map_err(|error| JobError {
            message: format!(
                "the canaryKey `{}` of the model `{}` is not in sight here: {}",
                canary.key, model.name, error.message
            ),
            ..error
        })?;
    let hashed = !matches!(
        found.typed.data_type,
        DataType::Map(_) | DataType::Struct(_) | DataType::Array(_)
    );
    if found.parts < parts.len() || !hashed {
        return Err(JobError::new(
            at,
            format!(
                "the canaryKey `{}` of the model `{}` must be a plain column",
                canary.key, model.name
            ),
        ));
    }
    Ok(Some(found.typed))
}

fn text_fields() -> DataType {
    let field = |name: &'static str| Field::nullable(name, DataType::String);
    DataType::Struct(["name", "version", "hash"].map(field).into_iter().collect())
}

fn info(model: Arc<Model>, key: Option<Typed>, at: Location) -> Typed {
    let keyed = key.is_some();
    let body = Body::Lazy(Arc::new(move |mut args: Vec<Box<dyn Eval>>| {
        Box::new(Info {
            model: Arc::clone(&model),
            key: if keyed { args.pop() } else { None },
            at,
        })
    }));
    node(
        "model_info",
        body,
        key.into_iter().collect(),
        text_fields(),
        at,
    )
}

fn node(name: &str, body: Body, args: Vec<Typed>, gives: DataType, at: Location) -> Typed {
    let call = Call {
        name: name.into(),
        form: Form::Function,
        body,
        // Another version may answer when the record is read again.
        deterministic: false,
    };
    Typed::node(Op::Call(call), args, gives, true, at)
}

/// A call as it is written.
struct Written<'w> {
    name: &'w str,
    model: Arc<Model>,
    gives: Gives,
    deadline: Option<Deadline>,
    settings: coerce::Settings,
    at: Location,
}

impl Written<'_> {
    fn wrong(&self, at: Location, why: &str) -> JobError {
        let at = if at.line > 0 { at } else { self.at };
        let message = format!("{}: the model `{}` {why}", self.name, self.model.name);
        JobError::new(at, message)
    }

    /// An expression for each feature, of the type that the model takes, and their names.
    fn features(&self, features: &Typed) -> Result<(Vec<SmolStr>, Vec<Typed>), JobError> {
        let DataType::Struct(fields) = &features.data_type else {
            let why = format!("takes its features as a STRUCT, got {}", features.data_type);
            return Err(self
                .wrong(features.at, &why)
                .help("write named_struct('feature', value, ...)"));
        };
        let names: Vec<SmolStr> = fields.iter().map(|field| field.name.clone()).collect();
        let declared = &self.model.declared;
        let places = declared
            .places(&names, self.model.options.positional)
            .map_err(|why| self.wrong(features.at, &why))?;
        let parts = self.parts(features, fields)?;
        let cast = |(index, typed): (usize, Typed)| {
            let feature = declared.features.get(places[index]);
            let element = feature.map_or(Element::Other, |feature| feature.element);
            let to = element.data_type().unwrap_or(DataType::Void);
            let at = typed.at;
            fit(typed, &to, self.settings).map_err(|given| {
                let name = &names[index];
                self.wrong(
                    at,
                    &format!("takes the feature `{name}` as {to}, got {given}"),
                )
            })
        };
        let parts = parts
            .into_iter()
            .enumerate()
            .map(cast)
            .collect::<Result<_, _>>()?;
        Ok((names, parts))
    }

    /// The fields of a STRUCT, each by itself: it is not made for each row.
    fn parts(&self, features: &Typed, fields: &[Field]) -> Result<Vec<Typed>, JobError> {
        match &features.kind {
            Kind::Node {
                op: Op::Call(call),
                args,
            } if call.name == "struct" => Ok(args.clone()),
            // All of it is constant.
            Kind::Literal(Value::Struct(values)) => {
                let each = values.iter().zip(fields);
                let each = each.map(|(value, field)| {
                    Typed::literal(value.clone(), field.data_type.clone(), features.at)
                });
                Ok(each.collect())
            }
            Kind::Column { .. } => fields
                .iter()
                .map(|field| path::field(features.clone(), &field.name, self.settings, self.at))
                .collect(),
            _ => Err(self
                .wrong(
                    features.at,
                    "takes its features as named_struct(...) or as a column",
                )
                .help("compute the STRUCT in a subquery, and name its column here")),
        }
    }

    /// The type of the call.
    fn data_type(&self) -> DataType {
        match self.gives {
            Gives::Score | Gives::Shadow => DataType::Double,
            Gives::All => DataType::Struct(self.model.declared.all().into_iter().collect()),
            Gives::Detail => DataType::Struct(
                [
                    Field::nullable("score", DataType::Double),
                    Field::nullable("fallback", DataType::String),
                    Field::nullable("model", text_fields()),
                ]
                .into_iter()
                .collect(),
            ),
        }
    }

    /// Whether the model can answer the call at all.
    fn answerable(&self, fallback: bool) -> Result<(), JobError> {
        if self.gives == Gives::Shadow {
            return self.shadowed(fallback);
        }
        if self.deadline.is_some() && !fallback {
            return Err(self.wrong(self.at, "needs a FALLBACK under SET deadline").help(
                "write predict(...) FALLBACK value: what answers when the time left does not suffice",
            ));
        }
        match &self.model.declared.score {
            Err(why) if self.gives != Gives::All => {
                Err(self.wrong(self.at, &format!("has no score: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is a shadow to ask.
    fn shadowed(&self, fallback: bool) -> Result<(), JobError> {
        if self.model.options.shadow.is_none() {
            return Err(self
                .wrong(self.at, "has no shadow")
                .help("name its file in CREATE MODEL: shadow 'models/next.onnx'"));
        }
        if fallback {
            return Err(self.wrong(self.at, "has a shadow, which needs no FALLBACK").help(
                "it gives NULL where the shadow does not answer: write coalesce(predict_shadow(...), value)",
            ));
        }
        self.model.asks_shadow.store(true, Ordering::Relaxed);
        match &self.model.declared.score {
            Err(why) => Err(self.wrong(self.at, &format!("has no score: {why}"))),
            Ok(_) => Ok(()),
        }
    }

    fn bind(
        self,
        features: &Typed,
        key: Option<Typed>,
        fallback: Option<Typed>,
    ) -> Result<Typed, JobError> {
        self.answerable(fallback.is_some())?;
        let (names, given) = self.features(features)?;
        let data_type = self.data_type();
        let answers = match self.gives {
            Gives::All => &data_type,
            _ => &DataType::Double,
        };
        let fallback = fallback.map(|typed| {
            let at = typed.at;
            fit(typed, answers, self.settings)
                .map_err(|given| self.wrong(at, &format!("gives {answers}, its FALLBACK {given}")))
        });
        let fallback = fallback.transpose()?;
        let (count, keyed, falls) = (given.len(), key.is_some(), fallback.is_some());
        let args = given.into_iter().chain(key).chain(fallback).collect();
        let Self {
            name,
            model,
            gives,
            deadline,
            at,
            ..
        } = self;
        let body = Body::Lazy(Arc::new(move |mut args: Vec<Box<dyn Eval>>| {
            let fallback = if falls { args.pop() } else { None };
            let key = if keyed { args.pop() } else { None };
            Box::new(Predict {
                model: Arc::clone(&model),
                gives,
                features: args,
                names: names.clone(),
                key,
                fallback,
                deadline,
                // Each run of a query makes its steps anew.
                run_began: now(),
                at,
                values: vec![Value::Null; count],
                places: Default::default(),
                clock: None,
            })
        }));
        Ok(node(name, body, args, data_type, at))
    }
}

/// An expression as another type, where numbers become numbers; the given type where that cannot be.
fn fit(typed: Typed, to: &DataType, settings: coerce::Settings) -> Result<Typed, DataType> {
    let given = typed.data_type.clone();
    let real = matches!(to, DataType::Float | DataType::Double);
    let number = given.is_numeric() || given == DataType::Boolean || given == DataType::Void;
    let whole = given.is_integer() && to.is_integer();
    // A text that is a number is a mistake here, also where Spark would take it for one.
    let widens =
        given != DataType::String && coerce::wider(&given, to, settings.ansi).as_ref() == Some(to);
    if given == *to {
        return Ok(typed);
    }
    if (real && number) || whole || widens {
        return Ok(coerce::cast_implicitly(typed, to, settings));
    }
    Err(given)
}
