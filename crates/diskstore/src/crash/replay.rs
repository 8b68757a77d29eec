//! The states that a disk may be in after a crash.
//!
//! The model is harsher than file systems with a journal are. Each write to a file, and each name that comes into a
//! directory or goes from it, lasts only when that file or that directory was synced; until then it may be there after a
//! crash or not, whatever came before or after it. A rename is a name that comes and one that goes; only that the old
//! one does not go without the new one coming is taken for granted, and that a directory which is synced loses no name
//! whose file is nowhere else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use crate::disk::tape::Step;

/// A directory tree: `None` is a directory, `Some` a file's bytes.
pub(super) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

type NodeId = usize;
type EffectId = usize;

const ROOT: NodeId = 0;

/// What a step changed, as far as it can last or not by itself.
enum Effect {
    Name {
        dir: NodeId,
        name: String,
        node: Option<NodeId>,
        /// Lasts only if this does.
        needs: Option<EffectId>,
    },
    Bytes {
        node: NodeId,
        at: u64,
        bytes: Vec<u8>,
    },
}

/// A disk on which steps were done.
#[derive(Default)]
pub(super) struct Disk {
    is_dir: Vec<bool>,
    /// As running processes see it.
    names: Vec<BTreeMap<String, NodeId>>,
    /// By the ids of the tape.
    files: HashMap<u64, NodeId>,
    effects: Vec<Effect>,
    lasting: Vec<bool>,
}

impl Disk {
    /// A disk that holds this.
    pub(super) fn holding(tree: &Tree) -> Self {
        let mut disk = Self::default();
        disk.node(true);
        for (path, content) in tree {
            let node = disk.node(content.is_none());
            if let Some(bytes) = content {
                disk.effect(Effect::Bytes {
                    node,
                    at: 0,
                    bytes: bytes.clone(),
                });
            }
            disk.name(path, Some(node), None);
        }
        disk.lasting.fill(true);
        disk
    }

    fn node(&mut self, is_dir: bool) -> NodeId {
        self.is_dir.push(is_dir);
        self.names.push(BTreeMap::new());
        self.is_dir.len() - 1
    }

    fn effect(&mut self, effect: Effect) -> EffectId {
        self.effects.push(effect);
        self.lasting.push(false);
        self.effects.len() - 1
    }

    fn find(&self, path: &Path) -> NodeId {
        path.components().fold(ROOT, |node, part| match part {
            Component::Normal(name) => self.names[node][name.to_str().unwrap()],
            _ => panic!("{} is not below the root", path.display()),
        })
    }

    fn name(&mut self, path: &Path, node: Option<NodeId>, needs: Option<EffectId>) -> EffectId {
        let dir = self.find(path.parent().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match node {
            Some(node) => self.names[dir].insert(name.clone(), node),
            None => self.names[dir].remove(&name),
        };
        self.effect(Effect::Name {
            dir,
            name,
            node,
            needs,
        })
    }

    fn sync(&mut self, is_meant: impl Fn(&Effect) -> bool) {
        for at in 0..self.effects.len() {
            let mut next = is_meant(&self.effects[at]).then_some(at);
            while let Some(at) = next {
                self.lasting[at] = true;
                next = match &self.effects[at] {
                    Effect::Name { needs, .. } => *needs,
                    Effect::Bytes { .. } => None,
                };
            }
        }
    }

    /// Does a step; its paths are below `root`.
    pub(super) fn take(&mut self, step: &Step, root: &Path) {
        let below = |path: &Path| path.strip_prefix(root).unwrap().to_owned();
        match step {
            Step::MakeDir(path) => {
                let node = self.node(true);
                self.name(&below(path), Some(node), None);
            }
            Step::Create { path, id } => {
                let node = self.node(false);
                self.files.insert(*id, node);
                self.name(&below(path), Some(node), None);
            }
            Step::Write { id, at, bytes } => {
                let node = self.files[id];
                self.effect(Effect::Bytes {
                    node,
                    at: *at,
                    bytes: bytes.clone(),
                });
            }
            Step::SyncFile { id } => {
                let wanted = self.files[id];
                self.sync(|effect| matches!(effect, Effect::Bytes { node, .. } if *node == wanted));
            }
            Step::Rename { from, to } => {
                let (from, to) = (below(from), below(to));
                let node = self.find(&from);
                let came = self.name(&to, Some(node), None);
                self.name(&from, None, Some(came));
            }
            Step::Link { from, to } => {
                let node = self.find(&below(from));
                self.name(&below(to), Some(node), None);
            }
            Step::RemoveFile(path) | Step::RemoveDir(path) => {
                self.name(&below(path), None, None);
            }
            Step::SyncDir(path) => {
                let wanted = self.find(&below(path));
                self.sync(|effect| matches!(effect, Effect::Name { dir, .. } if *dir == wanted));
            }
            Step::SyncAll => self.lasting.fill(true),
        }
    }

    /// What a crash may leave now. Not all of it if there is much, but always nothing, all, each one alone and all but
    /// each one of what may last; besides, some at random.
    pub(super) fn crashes(&self, seed: u64) -> Vec<Tree> {
        let open: Vec<EffectId> = (0..self.effects.len())
            .filter(|at| !self.lasting[*at])
            .collect();
        let mut choices: BTreeSet<BTreeSet<EffectId>> = BTreeSet::new();
        if open.len() <= 5 {
            for bits in 0..1_u32 << open.len() {
                let chosen = open.iter().enumerate();
                let chosen = chosen.filter(|(at, _)| bits >> at & 1 == 1);
                choices.insert(chosen.map(|(_, id)| *id).collect());
            }
        } else {
            let all: BTreeSet<EffectId> = open.iter().copied().collect();
            for one in &open {
                choices.insert(BTreeSet::from([*one]));
                choices.insert(all.iter().copied().filter(|id| id != one).collect());
            }
            let mut random = seed | 1;
            for _ in 0..16 {
                let chosen = open.iter().copied().filter(|_| {
                    // xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003).
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 1
                });
                choices.insert(chosen.collect());
            }
            choices.extend([BTreeSet::new(), all]);
        }
        choices.iter().map(|chosen| self.with(chosen)).collect()
    }

    /// The tree if of what may last this does.
    fn with(&self, chosen: &BTreeSet<EffectId>) -> Tree {
        let lasts = |at: EffectId| self.lasting[at] || chosen.contains(&at);
        let mut names = vec![BTreeMap::new(); self.is_dir.len()];
        let mut bytes_of = vec![Vec::new(); self.is_dir.len()];
        for (at, effect) in self.effects.iter().enumerate().filter(|(at, _)| lasts(*at)) {
            match effect {
                Effect::Name {
                    needs: Some(needs), ..
                } if !lasts(*needs) => {}
                Effect::Name {
                    dir, name, node, ..
                } => {
                    match node {
                        Some(node) => names[*dir].insert(name.clone(), *node),
                        None => names[*dir].remove(name),
                    };
                    let _ = at;
                }
                Effect::Bytes { node, at, bytes } => {
                    let file: &mut Vec<u8> = &mut bytes_of[*node];
                    let end = *at as usize + bytes.len();
                    file.resize(file.len().max(end), 0);
                    file[*at as usize..end].copy_from_slice(bytes);
                }
            }
        }
        let mut tree = Tree::new();
        let mut ahead = vec![(PathBuf::new(), ROOT)];
        while let Some((path, node)) = ahead.pop() {
            for (name, below) in &names[node] {
                let path = path.join(name);
                if self.is_dir[*below] {
                    tree.insert(path.clone(), None);
                    ahead.push((path, *below));
                } else {
                    tree.insert(path, Some(bytes_of[*below].clone()));
                }
            }
        }
        tree
    }
}

/// Makes it below a directory.
pub(super) fn write_tree(tree: &Tree, root: &Path) {
    for (path, content) in tree {
        let path = root.join(path);
        match content {
            None => fs::DirBuilder::new().mode(0o700).create(&path).unwrap(),
            Some(bytes) => {
                let mut options = fs::OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                std::io::Write::write_all(&mut options.open(&path).unwrap(), bytes).unwrap();
            }
        }
    }
}

/// What is below a directory.
pub(super) fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(root.join(&dir)).unwrap() {
            let entry = entry.unwrap();
            let path = dir.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                tree.insert(path.clone(), None);
                ahead.push(path);
            } else {
                tree.insert(path, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        Path::new("/root").join(name)
    }

    fn holds(disk: &Disk, name: &str) -> BTreeSet<bool> {
        let trees = disk.crashes(1);
        trees
            .iter()
            .map(|tree| tree.contains_key(Path::new(name)))
            .collect()
    }

    fn after(steps: &[Step]) -> Disk {
        let mut disk = Disk::holding(&Tree::new());
        for step in steps {
            disk.take(step, Path::new("/root"));
        }
        disk
    }

    #[test]
    fn only_what_was_synced_is_sure_to_last() {
        let mut steps = vec![
            Step::Create {
                path: path("a"),
                id: 1,
            },
            Step::Write {
                id: 1,
                at: 0,
                bytes: b"x".to_vec(),
            },
        ];
        assert_eq!(holds(&after(&steps), "a"), BTreeSet::from([false, true]));
        steps.push(Step::SyncDir(path("")));
        let disk = after(&steps);
        assert_eq!(holds(&disk, "a"), BTreeSet::from([true]));
        let contents: BTreeSet<_> = disk
            .crashes(1)
            .iter()
            .map(|tree| tree[Path::new("a")].clone())
            .collect();
        assert_eq!(
            contents,
            BTreeSet::from([Some(vec![]), Some(b"x".to_vec())])
        );
        steps.push(Step::SyncFile { id: 1 });
        assert_eq!(after(&steps).crashes(1).len(), 1);
    }

    #[test]
    fn a_rename_may_leave_both_names_but_never_none() {
        let steps = [
            Step::MakeDir(path("d")),
            Step::Create {
                path: path("a"),
                id: 1,
            },
            Step::SyncAll,
            Step::Rename {
                from: path("a"),
                to: path("d/b"),
            },
        ];
        let disk = after(&steps);
        let found: BTreeSet<_> = disk
            .crashes(1)
            .iter()
            .map(|tree| {
                (
                    tree.contains_key(Path::new("a")),
                    tree.contains_key(Path::new("d/b")),
                )
            })
            .collect();
        assert_eq!(
            found,
            BTreeSet::from([(true, false), (true, true), (false, true)])
        );
    }

    #[test]
    fn a_tree_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::from([
            (PathBuf::from("a"), None),
            (PathBuf::from("a/b"), Some(b"x".to_vec())),
        ]);
        write_tree(&tree, dir.path());
        assert_eq!(read_tree(dir.path()), tree);
        assert_eq!(Disk::holding(&tree).crashes(1), [tree]);
    }
}
