-- Versions of presets that an operator chose, and what each means, so that none comes to mean something else: links and caches go by the
-- version. All tenants share them, so this row has none; a catalog that is split by tenant has one in each part.
CREATE TABLE preset_versions (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  long_edge INTEGER NOT NULL,
  quality INTEGER NOT NULL,
  chosen_at INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
