//! ROLLUP, CUBE and GROUPING SETS: several GROUP BYs in one, over one step that gives each row once for each of them.

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByWithModifier};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::functions::{BindContext, generators};
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::lower::Lowering;
use crate::plan::node::Node;
use crate::transforms::Generator;

/// How many sets one GROUP BY may have: a row comes once for each.
const SETS_MAX: usize = 1024;

/// How it is called in plans.
const NAME: &str = "grouping sets";

/// What stands in a GROUP BY: expressions, and the sets of them by their places; one set of all where there is no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sets<'e> {
    pub(super) expressions: Vec<&'e Expr>,
    pub(super) sets: Vec<Vec<usize>>,
    /// Whether ROLLUP, CUBE or GROUPING SETS says so, which may be one set too.
    pub(super) written: bool,
}

impl<'e> Sets<'e> {
    /// The sets of what stands behind GROUP BY: of several elements each set of one with each of the others.
    pub(super) fn of(
        list: &'e [Expr],
        with: &'e [GroupByWithModifier],
        at: Location,
    ) -> Result<Self, JobError> {
        let mut all = Self {
            expressions: Vec::new(),
            sets: vec![Vec::new()],
            written: !with.is_empty(),
        };
        let singles = |list: &'e [Expr]| list.iter().map(std::slice::from_ref).collect();
        match with {
            [] => list.iter().try_for_each(|element| all.times(element, at))?,
            [GroupByWithModifier::Rollup] => all.rollup(singles(list), at)?,
            [GroupByWithModifier::Cube] => all.cube(singles(list), at)?,
            [GroupByWithModifier::GroupingSets(Expr::GroupingSets(sets))] => {
                all.expressions.extend(list);
                all.each_of(sets, at)?;
                if let Some(more) = all.expressions.get(list.len()) {
                    let message = format!("GROUPING SETS names `{more}`, which GROUP BY does not");
                    return Err(JobError::new(at, message)
                        .help("write GROUP BY GROUPING SETS ((a, b), (a), ...)"));
                }
            }
            [other, ..] => {
                let message = format!("{other} has no meaning here");
                return Err(JobError::new(at, message)
                    .help("write GROUP BY a, b WITH ROLLUP, WITH CUBE or GROUPING SETS (...)"));
            }
        }
        Ok(all)
    }

    fn times(&mut self, element: &'e Expr, at: Location) -> Result<(), JobError> {
        let slices = |groups: &'e [Vec<Expr>]| groups.iter().map(Vec::as_slice).collect();
        let sets = |expr: &Expr| {
            matches!(
                expr,
                Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)
            )
        };
        self.written |= sets(element);
        match element {
            Expr::Rollup(groups) => self.rollup(slices(groups), at),
            Expr::Cube(groups) => self.cube(slices(groups), at),
            Expr::GroupingSets(sets) => self.each_of(sets, at),
            Expr::Tuple(several) if several.is_empty() => Ok(()),
            one => self.each(vec![std::slice::from_ref(one)], at),
        }
    }

    /// All, all but the last, and so on to none.
    fn rollup(&mut self, groups: Vec<&'e [Expr]>, at: Location) -> Result<(), JobError> {
        let sets = self.rolled_up(groups);
        self.with(sets, at)
    }

    fn rolled_up(&mut self, groups: Vec<&'e [Expr]>) -> Vec<Vec<usize>> {
        let groups = self.places(groups);
        let sets = (0..=groups.len()).rev().map(|most| groups[..most].concat());
        sets.collect()
    }

    /// Each choice of them.
    fn cube(&mut self, groups: Vec<&'e [Expr]>, at: Location) -> Result<(), JobError> {
        let sets = self.cubed(groups, at)?;
        self.with(sets, at)
    }

    fn cubed(
        &mut self,
        groups: Vec<&'e [Expr]>,
        at: Location,
    ) -> Result<Vec<Vec<usize>>, JobError> {
        let groups = self.places(groups);
        let choices = u32::try_from(groups.len())
            .ok()
            .and_then(|n| 1_usize.checked_shl(n));
        let Some(choices) = choices.filter(|choices| *choices <= SETS_MAX) else {
            return Err(too_many(at));
        };
        let chosen = |choice: usize| {
            let groups = groups.iter().enumerate();
            let groups = groups.filter(|(place, _)| choice >> place & 1 == 0);
            groups.flat_map(|(_, group)| group.clone()).collect()
        };
        Ok((0..choices).map(chosen).collect())
    }

    /// GROUPING SETS, where ROLLUP and CUBE may stand among the sets.
    fn each_of(&mut self, sets: &'e [Vec<Expr>], at: Location) -> Result<(), JobError> {
        let mut all = Vec::new();
        for set in sets {
            all.extend(match called(set) {
                Some((Called::Rollup, groups)) => self.rolled_up(groups),
                Some((Called::Cube, groups)) => self.cubed(groups, at)?,
                None => self.places(vec![set]),
            });
        }
        self.with(all, at)
    }

    fn each(&mut self, sets: Vec<&'e [Expr]>, at: Location) -> Result<(), JobError> {
        let sets = self.places(sets);
        self.with(sets, at)
    }

    /// The places of groups of expressions, those that are new behind the others.
    fn places(&mut self, groups: Vec<&'e [Expr]>) -> Vec<Vec<usize>> {
        let mut place = |expr: &'e Expr| {
            let known = self.expressions.iter().position(|one| *one == expr);
            known.unwrap_or_else(|| {
                self.expressions.push(expr);
                self.expressions.len() - 1
            })
        };
        let groups = groups.into_iter();
        groups
            .map(|group| group.iter().map(&mut place).collect())
            .collect()
    }

    fn with(&mut self, more: Vec<Vec<usize>>, at: Location) -> Result<(), JobError> {
        if self.sets.len().saturating_mul(more.len()) > SETS_MAX {
            return Err(too_many(at));
        }
        let before = std::mem::take(&mut self.sets);
        let joined = |set: &Vec<usize>| {
            let set = set.clone();
            more.iter()
                .map(move |more| [set.as_slice(), more.as_slice()].concat())
        };
        self.sets = before.iter().flat_map(joined).collect();
        Ok(())
    }
}

enum Called {
    Rollup,
    Cube,
}

/// ROLLUP or CUBE among the sets of GROUPING SETS, where the parser takes it for a call.
fn called(set: &[Expr]) -> Option<(Called, Vec<&[Expr]>)> {
    let [Expr::Function(function)] = set else {
        return None;
    };
    let called = match function.name.to_string().to_ascii_lowercase().as_str() {
        "rollup" => Called::Rollup,
        "cube" => Called::Cube,
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let groups = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Tuple(group))) => Some(group.as_slice()),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(one)) => Some(std::slice::from_ref(one)),
        _ => None,
    });
    Some((called, groups.collect::<Option<_>>()?))
}

fn too_many(at: Location) -> JobError {
    JobError::new(
        at,
        format!("the GROUP BY has more than {SETS_MAX} grouping sets"),
    )
    .help("each row counts in each of them: name those that you need in GROUPING SETS")
}

/// The sets by the keys that their expressions are, and the number that `grouping_id()` gives each.
pub(super) struct Expanded {
    /// For each key whether all sets have it.
    pub(super) common: Vec<bool>,
    /// For each set whether it has each key.
    has: Vec<Vec<bool>>,
    ids: Vec<i64>,
}

impl Expanded {
    /// `key_of`: the key that each expression is. None where there is one set of all.
    pub(super) fn of(sets: &Sets<'_>, key_of: &[usize], keys: usize) -> Option<Self> {
        let has: Vec<Vec<bool>> = sets
            .sets
            .iter()
            .map(|set| {
                (0..keys)
                    .map(|key| set.iter().any(|place| key_of[*place] == key))
                    .collect()
            })
            .collect();
        if let [only] = &has[..]
            && only.iter().all(|has| *has)
        {
            return None;
        }
        let id = |has: &Vec<bool>| has.iter().fold(0, |id, has| id << 1 | i64::from(!has));
        Some(Self {
            common: (0..keys)
                .map(|key| has.iter().all(|set| set[key]))
                .collect(),
            ids: has.iter().map(id).collect(),
            has,
        })
    }

    /// Whether a set stands there twice, so that each of its groups comes twice.
    pub(super) fn doubled(&self) -> bool {
        (1..self.ids.len()).any(|place| self.ids[..place].contains(&self.ids[place]))
    }

    /// The name of the key that tells the sets apart; other sets are another state.
    pub(super) fn name(&self) -> SmolStr {
        let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        format_smolstr!("{NAME} {}", ids.join(", "))
    }

    /// The step that gives each row once for each set, and the columns behind the row's: the keys that not all sets have,
    /// NULL where the set has not, the number of the set, and with sets that stand there twice their place.
    pub(super) fn over(
        &self,
        below: Node,
        keys: &[Typed],
        lowering: &Lowering<'_>,
        at: Location,
    ) -> Result<(Node, Vec<Field>), JobError> {
        let partial: Vec<usize> = (0..keys.len()).filter(|key| !self.common[*key]).collect();
        let literal = |number: i64| Typed::literal(Value::BigInt(number), DataType::BigInt, at);
        let count = i32::try_from(self.has.len()).unwrap_or(i32::MAX);
        let mut values = vec![Typed::literal(Value::Int(count), DataType::Int, at)];
        for (place, (has, id)) in self.has.iter().zip(&self.ids).enumerate() {
            for key in &partial {
                let absent = || Typed::literal(Value::Null, keys[*key].data_type.clone(), at);
                values.push(if has[*key] {
                    keys[*key].clone()
                } else {
                    absent()
                });
            }
            values.push(literal(*id));
            if self.doubled() {
                values.push(literal(i64::try_from(place).unwrap_or(i64::MAX)));
            }
        }
        let mut generated: Vec<Field> = partial
            .iter()
            .map(|key| Field::nullable("key", keys[*key].data_type.clone()))
            .collect();
        generated.push(Field::required("grouping_id", DataType::BigInt));
        if self.doubled() {
            generated.push(Field::required("set", DataType::BigInt));
        }
        let context = BindContext {
            name: NAME,
            signature: generators::STACK,
            settings: lowering.settings(),
            at,
        };
        let node = Node::Explode {
            kept: (0..below.width()).collect(),
            below: Box::new(below),
            value: generators::stack(values, &context)?,
            name: NAME,
            generator: Generator {
                position: false,
                fields: true,
                width: generated.len(),
                outer: false,
            },
            generated: generated.clone(),
        };
        Ok((node, generated))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sqlparser::ast::{GroupByExpr, SetExpr, Statement};
    use sqlparser::dialect::SparkSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    /// The sets of a GROUP BY as texts.
    fn sets(clause: &str) -> Result<Vec<String>, String> {
        let text = format!("SELECT 1 FROM t GROUP BY {clause}");
        let parsed = Parser::parse_sql(&SparkSqlDialect {}, &text).unwrap();
        let Statement::Query(query) = &parsed[0] else {
            panic!()
        };
        let SetExpr::Select(select) = query.body.as_ref() else {
            panic!()
        };
        let GroupByExpr::Expressions(list, with) = &select.group_by else {
            panic!()
        };
        let sets = Sets::of(list, with, Location::default()).map_err(|error| error.message)?;
        let name = |place: &usize| sets.expressions[*place].to_string();
        let shown = |set: &Vec<usize>| set.iter().map(name).collect();
        Ok(sets.sets.iter().map(shown).collect())
    }

    #[test]
    fn sets_are_what_each_form_says() {
        for (clause, expected) in [
            ("a, b", vec!["ab"]),
            ("ROLLUP (a, b)", vec!["ab", "a", ""]),
            ("a, b WITH ROLLUP", vec!["ab", "a", ""]),
            ("ROLLUP ((a, b), c)", vec!["abc", "ab", ""]),
            ("CUBE (a, b)", vec!["ab", "b", "a", ""]),
            ("c, ROLLUP (a)", vec!["ca", "c"]),
            ("GROUPING SETS ((a, b), (a), ())", vec!["ab", "a", ""]),
            ("a, b GROUPING SETS ((a), b)", vec!["a", "b"]),
            ("a, b GROUPING SETS ((a))", vec!["a"]),
            ("a GROUPING SETS (())", vec![""]),
            (
                "GROUPING SETS (ROLLUP (a, (b, c)), (c), CUBE (a))",
                vec!["abc", "a", "", "c", "a", ""],
            ),
            ("ROLLUP (a), ROLLUP (b)", vec!["ab", "a", "b", ""]),
        ] {
            assert_eq!(sets(clause).unwrap(), expected, "{clause}");
        }
    }

    #[test]
    fn too_many_sets_are_refused() {
        let names: Vec<String> = (0..11).map(|i| format!("c{i}")).collect();
        let refused = sets(&format!("CUBE ({})", names.join(", "))).unwrap_err();
        assert!(
            refused.contains("more than 1024 grouping sets"),
            "{refused}"
        );
    }

    #[test]
    fn sets_of_what_is_not_grouped_by_are_refused() {
        let refused = sets("a GROUPING SETS ((a), (b))").unwrap_err();
        assert!(refused.contains("names `b`"), "{refused}");
    }
}
