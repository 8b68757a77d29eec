//! Writes HEIF files around coded pictures, as cameras lay them out.

/// A property of an item.
pub struct Property {
    pub kind: [u8; 4],
    pub body: Vec<u8>,
    pub essential: bool,
}

/// An item. The first of a file is its primary one; numbers count from 1.
pub struct Item {
    pub kind: [u8; 4],
    pub payload: Vec<u8>,
    pub properties: Vec<Property>,
    /// References from this item to others.
    pub references: Vec<([u8; 4], Vec<u16>)>,
}

impl Item {
    pub fn new(kind: &[u8; 4], payload: &[u8]) -> Self {
        Self {
            kind: *kind,
            payload: payload.to_vec(),
            properties: Vec::new(),
            references: Vec::new(),
        }
    }

    pub fn with(mut self, kind: &[u8; 4], body: &[u8]) -> Self {
        self.properties.push(Property {
            kind: *kind,
            body: body.to_vec(),
            essential: matches!(kind, b"hvcC" | b"av1C" | b"irot" | b"imir" | b"clap"),
        });
        self
    }

    pub fn refers(mut self, kind: &[u8; 4], to: &[u16]) -> Self {
        self.references.push((*kind, to.to_vec()));
        self
    }

    /// Columns and rows.
    pub fn sized(self, width: u32, height: u32) -> Self {
        let body = [&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
        self.with(b"ispe", &body)
    }

    /// Turned anticlockwise by so many quarters, as in `irot`.
    pub fn turned(self, quarters: u8) -> Self {
        self.with(b"irot", &[quarters])
    }

    /// Mirrored top to bottom (0) or left to right (1), as in `imir`.
    pub fn mirrored(self, axis: u8) -> Self {
        self.with(b"imir", &[axis])
    }

    /// Code points of the colours.
    pub fn colored(self, primaries: u16, transfer: u16, matrix: u16, full_range: bool) -> Self {
        let mut body = b"nclx".to_vec();
        for code in [primaries, transfer, matrix] {
            body.extend_from_slice(&code.to_be_bytes());
        }
        body.push(u8::from(full_range) << 7);
        self.with(b"colr", &body)
    }

    /// A colour profile.
    pub fn profiled(self, icc: &[u8]) -> Self {
        self.with(b"colr", &[b"prof", icc].concat())
    }

    /// Only this part is shown: its size, and how far its centre is from the picture's.
    pub fn cropped(self, (width, height): (u32, u32), (right, down): (i32, i32)) -> Self {
        let mut body = Vec::new();
        for n in [width, height, right.cast_unsigned(), down.cast_unsigned()] {
            body.extend_from_slice(&n.to_be_bytes());
            body.extend_from_slice(&1_u32.to_be_bytes());
        }
        self.with(b"clap", &body)
    }

    /// An auxiliary item of another, of this kind.
    pub fn auxiliary(self, of: u16, urn: &str) -> Self {
        let body = [&[0; 4], urn.as_bytes(), b"\0"].concat();
        self.with(b"auxC", &body).refers(b"auxl", &[of])
    }
}

/// A grid whose tiles are the items of these numbers.
pub fn grid(columns: u8, rows: u8, size: (u16, u16), tiles: &[u16]) -> Item {
    let mut payload = vec![0, 0, rows - 1, columns - 1];
    payload.extend_from_slice(&size.0.to_be_bytes());
    payload.extend_from_slice(&size.1.to_be_bytes());
    Item::new(b"grid", &payload)
        .sized(size.0.into(), size.1.into())
        .refers(b"dimg", tiles)
}

/// A box around bodies.
pub fn boxed(kind: &[u8; 4], bodies: &[&[u8]]) -> Vec<u8> {
    let body = bodies.concat();
    let mut out = (body.len() as u32 + 8).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(&body);
    out
}

/// The whole file: `meta` first, then the bytes of the items; those of grids lie in `idat`.
pub fn heif(brand: &[u8; 4], items: &[Item]) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", &[brand, &[0; 4], b"mif1", brand]);
    let length = ftyp.len() + meta(items, 0).len() + 8;
    let mut out = [ftyp, meta(items, length as u32)].concat();
    let payloads: Vec<&[u8]> = items
        .iter()
        .filter(|item| &item.kind != b"grid")
        .map(|item| item.payload.as_slice())
        .collect();
    out.extend_from_slice(&boxed(b"mdat", &payloads));
    out
}

/// The `meta` box of a file whose items' bytes begin at `start`.
fn meta(items: &[Item], start: u32) -> Vec<u8> {
    let numbered = || (1_u16..).zip(items);
    let count = (items.len() as u16).to_be_bytes();
    let mut entries = Vec::new();
    let mut locations = vec![1, 0, 0, 0, 0x44, 0];
    locations.extend_from_slice(&count);
    let (mut in_file, mut in_box) = (start, Vec::new());
    let (mut properties, mut associations) = (Vec::new(), vec![0; 4]);
    associations.extend_from_slice(&(items.len() as u32).to_be_bytes());
    let mut references = vec![0; 4];
    let mut property_count = 0;
    for (id, item) in numbered() {
        let id = id.to_be_bytes();
        entries.extend_from_slice(&boxed(
            b"infe",
            &[&[2, 0, 0, 0], &id, &[0; 2], &item.kind, b"\0"],
        ));
        let is_grid = &item.kind == b"grid";
        let offset = if is_grid {
            in_box.len() as u32
        } else {
            in_file
        };
        if is_grid {
            in_box.extend_from_slice(&item.payload);
        } else {
            in_file += item.payload.len() as u32;
        }
        locations.extend_from_slice(&id);
        locations.extend_from_slice(&[0, u8::from(is_grid), 0, 0, 0, 1]);
        locations.extend_from_slice(&offset.to_be_bytes());
        locations.extend_from_slice(&(item.payload.len() as u32).to_be_bytes());
        associations.extend_from_slice(&id);
        associations.push(item.properties.len() as u8);
        for property in &item.properties {
            property_count += 1;
            properties.extend_from_slice(&boxed(&property.kind, &[&property.body]));
            associations.push(u8::from(property.essential) << 7 | property_count);
        }
        for (kind, to) in &item.references {
            let mut body = [id, (to.len() as u16).to_be_bytes()].concat();
            body.extend(to.iter().flat_map(|to| to.to_be_bytes()));
            references.extend_from_slice(&boxed(kind, &[&body]));
        }
    }
    let properties = [
        boxed(b"ipco", &[&properties]),
        boxed(b"ipma", &[&associations]),
    ];
    boxed(
        b"meta",
        &[
            &[0; 4],
            &boxed(b"hdlr", &[&[0; 8], b"pict", &[0; 13]]),
            &boxed(b"pitm", &[&[0; 4], &1_u16.to_be_bytes()]),
            &boxed(b"iloc", &[&locations]),
            &boxed(b"iinf", &[&[0; 4], &count, &entries]),
            &boxed(b"iref", &[&references]),
            &boxed(b"iprp", &[&properties.concat()]),
            &boxed(b"idat", &[&in_box]),
        ],
    )
}
