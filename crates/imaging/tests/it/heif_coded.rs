//! Coded pictures, small enough to stand here.
//!
//! They are what [`crate::fixtures::scene`] gives for 96 by 64, tiles of 64 by 64 of one colour, and
//! a plane of opacity, written as PNG (with the samples of sixteen bits for those of ten) and coded by
//! Debian 12's `heif-enc -q 60` (x265 3.5) and `heif-enc -A -q 60` (libaom 3.6), with
//! `-p chroma=422`, `-p chroma=444` or `-b 10` where the name says so; the one of AV1 with ten bits by
//! `avifenc -d 10 -y 444 --min 20 --max 30`. Here are the `hvcC` or `av1C` property and the bytes of
//! the primary item of what came out.

use crate::heif_writer::{Item, grid, heif};

/// A coded picture.
#[derive(Clone, Copy)]
pub struct Coded {
    /// The item's kind: `hvc1` or `av01`.
    pub kind: &'static [u8; 4],
    /// Columns and rows.
    pub size: (u32, u32),
    config: &'static str,
    payload: &'static str,
}

impl Coded {
    /// The item's bytes.
    pub fn payload(&self) -> Vec<u8> {
        hex::decode(self.payload).unwrap()
    }

    /// An item of it, with its configuration and size.
    pub fn item(&self) -> Item {
        let config = if self.kind == b"hvc1" {
            b"hvcC"
        } else {
            b"av1C"
        };
        Item::new(self.kind, &self.payload())
            .with(config, &hex::decode(self.config).unwrap())
            .sized(self.size.0, self.size.1)
    }
}

/// The scene, 4:2:0.
pub const HEVC_SCENE: Coded = Coded {
    kind: b"hvc1",
    size: (96, 64),
    config: "0103700000000000000000001ef000fcfdf8f800000f03200001001840010c01ffff0370000003009000\
        0003000003001eba0240210001002b42010103700000030090000003000003001ea030810596ea4929ae\
        6e04040c08000003000800000300084022000100074401c172b02240",
    payload: "000000ba2801af09e0e30b9c9f465fac4776e8c167ea13f07fa75301e67d07dce77c72bb91eaf92f9645\
        eb03313f0a2e25889d34f8b7a776765b10a59bd9cfd14195f607e1f012a45bc867c34fad6087868d270a\
        022485b1324cb254654acde2ef857b9042bc92fd48f6506cc9455e224df265bb20e2fff41656ffd259bd\
        e2ce911f712bb1cf6b250ae31d90fe812fff9c5731e731350acd618b1516740e86b7d07e569600ea0c0d\
        6862c595218681d9b06eb7806e76f41664de005dd3e0",
};

/// The scene, 4:2:2.
pub const HEVC_422: Coded = Coded {
    kind: b"hvc1",
    size: (96, 64),
    config: "0104080000000000000000001ef000fcfef8f800000f03200001001740010c01ffff0408000003009d38\
        00000300001eba0240210001002a4201010408000003009d3800000300001eb030810596ea4929ae6e04\
        040c08000003000800000300084022000100074401c172b02240",
    payload: "000000bf2801af09e0e30bf4ddb9caaeda6037dc167ebeef07fa752f0e3955cf66103ebfd84be88feea9\
        06f9272485c82163d6e9cfe2024e802876c62a4c22b547d68dfbf90ddfd4c1a548b783ee5023484deba0\
        69a7e8c03e1ac74073814b76e5b189c9dc393286bbe137a0f0fc7f871d4e8c789c7ffdafe9bff787254b\
        f6f5d6723eb6c2306b7ec4fc07e31772cf1f171d7d160ebec7a171280f9f8b163ef659e4507fb74b0067\
        61d163931f41c307265ce245c9bf491fbfea7a893e9da17e769380",
};

/// The scene, 4:4:4.
pub const HEVC_444: Coded = Coded {
    kind: b"hvc1",
    size: (96, 64),
    config: "0104080000000000000000001ef000fcfff8f800000f03200001001740010c01ffff0408000003009e38\
        00000300001eba0240210001002a4201010408000003009e3800000300001e90061020b2dd492535cdc0\
        808181000003000100000300010822000100084401c172860c0224",
    payload: "000000a12801af09e0e2eff0d9c959bdac6872fca2d4fcdbaa16be4c612f6fa2c7fabd9b6466ff84da6c\
        0826e08be22bcdf24d52f96238e956acf8fb42ad5ce759da0ea8c55b06d05fc1f5fdadb4ec1a4f6bcab0\
        c7ffc9018f9064e4f2fe495ebfb6bffef32adffabb474e9ec72ce4e104d9163ee6933dff8c24ed1cd859\
        7eb7691a9fe53ca90759202bf928cb52175cf7137f070cb9e9290d2b8f4b4fcda42b0c4a61b80c",
};

/// The scene with ten bits a sample.
pub const HEVC_10_BIT: Coded = Coded {
    kind: b"hvc1",
    size: (96, 64),
    config: "0104080000000000000000001ef000fcfdfafa00000f03200001001740010c01ffff0408000003009db8\
        00000300001eba0240210001002a4201010408000003009db800000300001ea0308104d96ea4929ae6e0\
        4040c0800000030080000003008422000100074401c172b02240",
    payload: "000000742801af09e02336589fbdef58f92fdca8d1843e3e7f58ac0a7e282d9896148aff5a996710bdf0\
        4c905021fe95d7c9b7869995125817df9868f5deb7dedc2d1bebffc3d815bad11f4b2ea7ecae903dbc1c\
        ff71c39764101b9af0507b5f2145f55c35d877c305ecc94cc90845fba51f2f3b2b3bcebf",
};

/// An opacity, monochrome: clear on the left, opaque on the right.
pub const HEVC_ALPHA: Coded = Coded {
    kind: b"hvc1",
    size: (96, 64),
    config: "0104080000000000000000001ef000fcfcf8f800000f03200001001740010c01ffff0408000003009ff8\
        00000300001eba024021000100264201010408000003009ff800000300001ec0c204165ba924a6b9b020\
        0000030020000003002122000100074401c172b02240",
    payload: "0000006a2801ae13c0e3374475fffff744d35f585ff9a6f7eda1e90b222ecc12bd3605a9c7676efe092a\
        30958019c120771abe2bff98036428222197c95bac3b11e09f78537e0176b6a3e3c2ac0e09c246f00c0b\
        9d370f8b53eaf97f20fc439701be5084fb3192775ca9d0837298",
};

/// A tile of one colour.
pub const HEVC_RED: Coded = Coded {
    kind: b"hvc1",
    size: (64, 64),
    config: "0103700000000000000000001ef000fcfdf8f800000f03200001001840010c01ffff0370000003009000\
        0003000003001eba0240210001002b42010103700000030090000003000003001ea020810596ea4929ae\
        6e04040c08000003000800000300084022000100074401c172b02240",
    payload: "0000001a2801af09e02139755ffffbeb9ffffca01721fbc4c0741cc3d7e0",
};

/// Another.
pub const HEVC_GREEN: Coded = Coded {
    kind: b"hvc1",
    size: (64, 64),
    config: "0103700000000000000000001ef000fcfdf8f800000f03200001001840010c01ffff0370000003009000\
        0003000003001eba0240210001002b42010103700000030090000003000003001ea020810596ea4929ae\
        6e04040c08000003000800000300084022000100074401c172b02240",
    payload: "000000192801af09e02139755fffb77ffffca017fffa7a5a741cc3d7e0",
};

/// Another.
pub const HEVC_BLUE: Coded = Coded {
    kind: b"hvc1",
    size: (64, 64),
    config: "0103700000000000000000001ef000fcfdf8f800000f03200001001840010c01ffff0370000003009000\
        0003000003001eba0240210001002b42010103700000030090000003000003001ea020810596ea4929ae\
        6e04040c08000003000800000300084022000100074401c172b02240",
    payload: "0000001a2801af09e02139755ffffda507ef7f9ea0fffee1b2741cc3d7e0",
};

/// Another.
pub const HEVC_YELLOW: Coded = Coded {
    kind: b"hvc1",
    size: (64, 64),
    config: "0103700000000000000000001ef000fcfdf8f800000f03200001001840010c01ffff0370000003009000\
        0003000003001eba0240210001002b42010103700000030090000003000003001ea020810596ea4929ae\
        6e04040c08000003000800000300084022000100074401c172b02240",
    payload: "0000001a2801af09e02139755f5ffe15ffffffa512f21e78c4741cc3d7e0",
};

/// The scene, 4:2:0.
pub const AV1_SCENE: Coded = Coded {
    kind: b"av01",
    size: (96, 64),
    config: "81000c00",
    payload: "12000a0918196ffec102020684324744c800c30c3080b4842b1eb6bdea7ddd1e8bb896dd047350d08d6e\
        002b59364a63b661044622ae48efdf2ef427e58fb612a961b2aff40c881f1a60f3be33713427a877f04f\
        47a0",
};

/// The scene, 4:4:4.
pub const AV1_444: Coded = Coded {
    kind: b"av01",
    size: (96, 64),
    config: "81200200",
    payload: "12000a0938196ffec204040d20325244980082082080b4992b1225336c9dae7ec2341aa234df4fec14f0\
        2b93d7af3d888897e40ba80d603588bdb113d580df0fa7bb8d9d1c30e22317a1b4ab30bcb5466b84e21a\
        516b22b0ecf544192ff78c9a34",
};

/// The scene, 4:4:4, with ten bits a sample.
pub const AV1_10_BIT_444: Coded = Coded {
    kind: b"av01",
    size: (96, 64),
    config: "81204000",
    payload: "12000a0938196ffec6021a0d20325144c80124924880b4992adf59220baf49a51048e90bd7e2be80006d\
        e17fd239b5dd5a08376365d669292c764958dd35cfc3e573823c72048b6f683b3d87087f4242244d2a3d\
        c009f4828eb1e6bffbf75c19",
};

/// An opacity as above.
pub const AV1_ALPHA: Coded = Coded {
    kind: b"av01",
    size: (96, 64),
    config: "81001c00",
    payload: "12000a0618196ffec2a0321613200c30a0b491134b8557ba1e3480cb887517963625",
};

/// A HEIC of so many columns and rows of [`HEVC_RED`], which is one tile again and again.
pub fn red_tiles(columns: u8, rows: u8) -> Vec<u8> {
    let tiles = vec![2; usize::from(columns) * usize::from(rows)];
    let size = (u16::from(columns) * 64, u16::from(rows) * 64);
    heif(
        b"heic",
        &[grid(columns, rows, size, &tiles), HEVC_RED.item()],
    )
}
