//! The ONNX runtime: found and loaded once, and one session with its tensors for each thread that scores.
//!
//! The tensors of a session are made with it and written anew for each row, and the score is read from a tensor that is
//! made with it too: a call allocates nothing on this side of the library.

use std::borrow::Cow;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::ptr;

use ort::AsPointer;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType};
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::row::Value;

use super::signature::{Element, Signature, place_of};

/// The names that the library has.
const NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];

/// Inputs of so few are listed on the stack.
const FEW: usize = 16;

/// The environment of all sessions, once the library is loaded.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Finds and loads the library, unless that was done.
///
/// # Errors
/// With the remedy, when there is none, or none that fits.
pub(crate) fn ready() -> Result<(), String> {
    environment().map(drop)
}

fn environment() -> Result<Environment, String> {
    let mut place = ENVIRONMENT.lock();
    if let Some(environment) = &*place {
        return Ok(environment.clone());
    }
    let remedy = "Install it (`pip install onnxruntime`) and set ORT_DYLIB_PATH to its library \
                  (onnxruntime/capi/libonnxruntime.so.* in the package), or put the library beside the binary as \
                  libonnxruntime.so";
    let mut tried = Vec::new();
    for path in places() {
        let loaded = catch_unwind(|| ort::init_from(&path));
        match loaded {
            Ok(Ok(builder)) => {
                let builder = builder.with_name("thalweg").with_telemetry(false);
                let made = builder.build().map_err(|error| {
                    format!(
                        "the ONNX runtime {} does not start: {error}",
                        path.display()
                    )
                })?;
                made.set_log_level(LogLevel::Fatal);
                *place = Some(made.clone());
                return Ok(made);
            }
            Ok(Err(error)) => tried.push(error.to_string()),
            Err(_) => tried.push(format!("{} is not the library", path.display())),
        }
    }
    Err(format!(
        "the ONNX runtime cannot be loaded: {}. {remedy}.",
        tried.join("; ")
    ))
}

/// Where the library may be: what ORT_DYLIB_PATH says and nothing else; without it beside the binary, in the places of
/// the system, and where pip puts it.
fn places() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return vec![path.into()];
    }
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent);
    let folders = beside
        .iter()
        .flat_map(|folder| {
            [
                folder.to_path_buf(),
                folder.join("lib"),
                folder.join("../lib"),
            ]
        })
        .chain(
            [
                "/usr/local/lib",
                "/usr/lib",
                "/usr/lib/x86_64-linux-gnu",
                "/usr/lib/aarch64-linux-gnu",
                "/opt/onnxruntime/lib",
            ]
            .map(PathBuf::from),
        );
    let mut found: Vec<PathBuf> = folders
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .filter(|path| path.exists())
        .collect();
    found.extend(installed());
    // The loader's own places, last: its message says that there is none.
    found.push(NAMES[0].into());
    found
}

/// The library in the package of Python's environment in force.
fn installed() -> Option<PathBuf> {
    let environment = PathBuf::from(std::env::var_os("VIRTUAL_ENV")?);
    let versions = std::fs::read_dir(environment.join("lib")).ok()?;
    versions.flatten().find_map(|version| {
        let folder = version.path().join("site-packages/onnxruntime/capi");
        let files = std::fs::read_dir(folder).ok()?;
        files.flatten().map(|file| file.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(NAMES[0])
        })
    })
}

/// A tensor that a row is written into.
enum Feed {
    Float(Tensor<f32>),
    Double(Tensor<f64>),
    Int(Tensor<i32>),
    Long(Tensor<i64>),
    Boolean(Tensor<bool>),
    Text(Tensor<String>, Vec<String>),
}

impl Feed {
    fn new(element: Element, shape: &[i64], width: usize) -> ort::Result<Self> {
        let shape = shape.to_vec();
        Ok(match element {
            Element::Float => Self::Float(Tensor::from_array((shape, vec![0.0_f32; width]))?),
            Element::Double => Self::Double(Tensor::from_array((shape, vec![0.0_f64; width]))?),
            Element::Int => Self::Int(Tensor::from_array((shape, vec![0_i32; width]))?),
            Element::Long => Self::Long(Tensor::from_array((shape, vec![0_i64; width]))?),
            Element::Boolean => Self::Boolean(Tensor::from_array((shape, vec![false; width]))?),
            Element::Text | Element::Other => {
                let texts = vec![String::new(); width];
                Self::Text(Tensor::from_string_array((shape, texts.as_slice()))?, texts)
            }
        })
    }

    fn pointer(&self) -> *const ort::sys::OrtValue {
        match self {
            Self::Float(tensor) => tensor.ptr(),
            Self::Double(tensor) => tensor.ptr(),
            Self::Int(tensor) => tensor.ptr(),
            Self::Long(tensor) => tensor.ptr(),
            Self::Boolean(tensor) => tensor.ptr(),
            Self::Text(tensor, _) => tensor.ptr(),
        }
    }

    fn input(&self) -> SessionInputValue<'_> {
        match self {
            Self::Float(tensor) => tensor.into(),
            Self::Double(tensor) => tensor.into(),
            Self::Int(tensor) => tensor.into(),
            Self::Long(tensor) => tensor.into(),
            Self::Boolean(tensor) => tensor.into(),
            Self::Text(tensor, _) => tensor.into(),
        }
    }
}

/// Where the score comes to.
enum Answer {
    Float(Tensor<f32>),
    Double(Tensor<f64>),
}

/// A session of one thread.
pub(crate) struct Scorer {
    session: Session,
    feeds: Vec<Feed>,
    /// The input and the place in it of each feature.
    slots: Vec<(usize, usize)>,
    names: Vec<CString>,
    outputs: Vec<SmolStr>,
    /// The name of the output with the score, what it comes to, and the score's place in it; None where the model has no
    /// single score.
    answer: Option<(CString, Answer, usize)>,
}

impl Scorer {
    /// A session of these bytes, with one thread.
    ///
    /// # Errors
    /// When the runtime does not take them.
    pub(crate) fn new(bytes: &[u8], signature: &Signature) -> Result<Self, String> {
        let environment = environment()?;
        caught(|| Self::made(&environment, bytes, signature))
    }

    fn made(
        environment: &Environment,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<Self, String> {
        let session = session(environment, bytes)
            .map_err(|error| format!("the runtime refuses it: {}", short(&error)))?;
        let mut feeds = Vec::new();
        let mut names = Vec::new();
        for (port, width) in signature.inputs.iter().zip(&signature.widths) {
            let mut shape: Vec<i64> = port.dims.iter().map(|_| 1).collect();
            if let Some(last) = shape.last_mut() {
                *last = i64::try_from(*width).unwrap_or(i64::MAX);
            }
            let feed = Feed::new(port.element, &shape, *width);
            feeds.push(feed.map_err(|error| short(&error))?);
            names.push(c_name(&port.name)?);
        }
        let features = signature.features.iter();
        let mut scorer = Self {
            session,
            feeds,
            slots: features.map(|one| (one.input, one.place)).collect(),
            names,
            outputs: signature
                .outputs
                .iter()
                .map(|port| port.name.clone())
                .collect(),
            answer: None,
        };
        scorer.answer = scorer.settle(signature)?;
        Ok(scorer)
    }

    /// Runs once and looks how the score comes: its shape may not stand in the file.
    fn settle(
        &mut self,
        signature: &Signature,
    ) -> Result<Option<(CString, Answer, usize)>, String> {
        let Ok((index, place)) = signature.score else {
            return Ok(None);
        };
        let port = &signature.outputs[index];
        let known = port.dims.iter().skip(1).all(|dim| *dim > 0);
        let (shape, double) = match self.run() {
            Ok(outputs) => {
                let value = outputs
                    .get(&*port.name)
                    .ok_or_else(|| format!("it does not give its output `{}`", port.name))?;
                let dtype = value.dtype();
                let shape = dtype.tensor_shape().map(|shape| shape.to_vec());
                let double = dtype.tensor_type() == Some(TensorElementType::Float64);
                (shape.unwrap_or_default(), double)
            }
            // It may know no empty text.
            Err(_) if known && signature.has_text() => {
                let shape = port.dims.iter().map(|dim| (*dim).max(1));
                (shape.collect(), port.element == Element::Double)
            }
            Err(why) => return Err(why),
        };
        let width = shape.iter().product::<i64>();
        let width = usize::try_from(width).unwrap_or_default();
        let place = match place {
            Some(place) if place < width => place,
            Some(place) => {
                return Err(format!(
                    "its output `{}` gives {width} values, and outputPlace is {place}",
                    port.name
                ));
            }
            None => place_of(width, &port.name)?,
        };
        let answer = if double {
            Tensor::from_array((shape, vec![0.0_f64; width])).map(Answer::Double)
        } else {
            Tensor::from_array((shape, vec![0.0_f32; width])).map(Answer::Float)
        };
        let answer = answer.map_err(|error| short(&error))?;
        Ok(Some((c_name(&port.name)?, answer, place)))
    }

    /// Writes a feature, by its place among the features of the model.
    ///
    /// # Errors
    /// For a NULL where the model has none.
    #[inline]
    pub(crate) fn set(&mut self, feature: usize, value: &Value) -> Result<(), &'static str> {
        let Some(&(input, place)) = self.slots.get(feature) else {
            return Err("is none of the model's");
        };
        match (&mut self.feeds[input], value) {
            (Feed::Float(tensor), Value::Float(x)) => tensor.extract_tensor_mut().1[place] = *x,
            // A missing number is what models for it call a number that is none.
            (Feed::Float(tensor), Value::Null) => tensor.extract_tensor_mut().1[place] = f32::NAN,
            (Feed::Double(tensor), Value::Double(x)) => tensor.extract_tensor_mut().1[place] = *x,
            (Feed::Double(tensor), Value::Null) => tensor.extract_tensor_mut().1[place] = f64::NAN,
            (Feed::Int(tensor), Value::Int(x)) => tensor.extract_tensor_mut().1[place] = *x,
            (Feed::Long(tensor), Value::BigInt(x)) => tensor.extract_tensor_mut().1[place] = *x,
            (Feed::Boolean(tensor), Value::Boolean(x)) => tensor.extract_tensor_mut().1[place] = *x,
            (Feed::Text(tensor, texts), Value::String(text)) => {
                text.as_str().clone_into(&mut texts[place]);
                let shape: Vec<i64> = tensor.shape().to_vec();
                let made = Tensor::from_string_array((shape, texts.as_slice()));
                *tensor = made.map_err(|_| "cannot be given to the runtime")?;
            }
            (_, Value::Null) => return Err("is NULL, and only FLOAT and DOUBLE features may be"),
            _ => return Err("is of another type than the model takes"),
        }
        Ok(())
    }

    /// The score of what was set.
    ///
    /// # Errors
    /// When the run fails.
    #[inline]
    pub(crate) fn score(&mut self) -> Result<f64, String> {
        caught(|| self.scored())
    }

    fn scored(&mut self) -> Result<f64, String> {
        let Some((output, answer, place)) = &mut self.answer else {
            return Err("the model has no single score".to_owned());
        };
        let mut few: ([*const c_char; FEW], [*const ort::sys::OrtValue; FEW]) =
            ([ptr::null(); FEW], [ptr::null(); FEW]);
        let mut many = (Vec::new(), Vec::new());
        let count = self.feeds.len();
        let (names, values) = if count <= FEW {
            (&mut few.0[..count], &mut few.1[..count])
        } else {
            many.0.resize(count, ptr::null());
            many.1.resize(count, ptr::null());
            (&mut many.0[..], &mut many.1[..])
        };
        for (index, (name, feed)) in self.names.iter().zip(&self.feeds).enumerate() {
            (names[index], values[index]) = (name.as_ptr(), feed.pointer());
        }
        let asked = [output.as_ptr()];
        let mut given = [match &*answer {
            Answer::Float(tensor) => tensor.ptr().cast_mut(),
            Answer::Double(tensor) => tensor.ptr().cast_mut(),
        }];
        // SAFETY: the session, the tensors and the names live as long as this call; each list is as long as is said; nobody
        // else has the session, which the mutable borrow of self proves. The output's tensor is ours and stays ours.
        let status = unsafe {
            (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                names.as_ptr(),
                values.as_ptr(),
                count,
                asked.as_ptr(),
                1,
                given.as_mut_ptr(),
            )
        };
        // SAFETY: the status is what the runtime gave, and is looked at once.
        unsafe { ort::Error::result_from_status(status) }.map_err(|error| short(&error))?;
        Ok(match answer {
            Answer::Float(tensor) => f64::from(tensor.extract_tensor().1[*place]),
            Answer::Double(tensor) => tensor.extract_tensor().1[*place],
        })
    }

    fn run(&mut self) -> Result<ort::session::SessionOutputs<'_>, String> {
        let names = self.names.iter().map(|name| name.to_string_lossy());
        let inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = names
            .zip(&self.feeds)
            .map(|(name, feed)| (name, feed.input()))
            .collect();
        self.session
            .run(inputs)
            .map_err(|error| format!("a run fails: {}", short(&error)))
    }

    /// All outputs of what was set, in the order of the signature.
    ///
    /// # Errors
    /// When the run fails.
    pub(crate) fn all(&mut self, lists: &[bool]) -> Result<Vec<Value>, String> {
        let names = self.outputs.clone();
        caught(|| {
            let outputs = self.run()?;
            let value = |(name, list): (&SmolStr, &bool)| {
                let value = outputs.get(name.as_str());
                let value = value.ok_or_else(|| format!("it does not give its output `{name}`"))?;
                read(value, *list).map_err(|error| short(&error))
            };
            names.iter().zip(lists).map(value).collect()
        })
    }
}

fn session(environment: &Environment, bytes: &[u8]) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)
        .map_err(|error| ort::Error::new(error.to_string()))?
        .with_inter_threads(1)
        .map_err(|error| ort::Error::new(error.to_string()))?
        .with_intra_op_spinning(false)
        .map_err(|error| ort::Error::new(error.to_string()))?
        // What fails is said here, once, and not by the library for each record.
        .with_log_level(LogLevel::Fatal)
        .map_err(|error| ort::Error::new(error.to_string()))?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(|error| ort::Error::new(error.to_string()))?
        .commit_from_memory(bytes)
}

/// A tensor of one row as a value: an array, or its only element.
fn read(value: &DynValue, list: bool) -> ort::Result<Value> {
    let kind = value.dtype().tensor_type();
    let all: Vec<Value> = match kind {
        Some(TensorElementType::Float32) => {
            let (_, all) = value.try_extract_tensor::<f32>()?;
            all.iter().copied().map(Value::Float).collect()
        }
        Some(TensorElementType::Float64) => {
            let (_, all) = value.try_extract_tensor::<f64>()?;
            all.iter().copied().map(Value::Double).collect()
        }
        Some(TensorElementType::Int32) => {
            let (_, all) = value.try_extract_tensor::<i32>()?;
            all.iter().copied().map(Value::Int).collect()
        }
        Some(TensorElementType::Int64) => {
            let (_, all) = value.try_extract_tensor::<i64>()?;
            all.iter().copied().map(Value::BigInt).collect()
        }
        Some(TensorElementType::Bool) => {
            let (_, all) = value.try_extract_tensor::<bool>()?;
            all.iter().copied().map(Value::Boolean).collect()
        }
        _ => {
            let (_, all) = value.try_extract_strings()?;
            all.iter().map(|text| Value::from(text.as_str())).collect()
        }
    };
    Ok(if list {
        Value::Array(all.into())
    } else {
        all.into_iter().next().unwrap_or_default()
    })
}

/// What a panic in the library becomes.
fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the runtime panicked".to_owned()))
}

fn c_name(name: &str) -> Result<CString, String> {
    CString::new(name).map_err(|_| format!("`{name}` is no name"))
}

/// The runtime's message without where in its code it comes from.
fn short(error: &ort::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim();
    line.rsplit_once("] ")
        .map_or(line, |(_, behind)| behind)
        .chars()
        .take(300)
        .collect()
}
