"""The dictionary behind ``codes["liver"]``: CID 7150, 7151, 7166, 4, 244 and what findings need."""

from __future__ import annotations

from orchestrator.domain.code import Code, Codes

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
SPATIAL_AND_RELATIONAL_CONCEPT = Code("309825002", "SCT", "Spatial and Relational Concept")

PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
UNDETERMINED = Code("373068000", "SCT", "Undetermined")

RIGHT = Code("24028007", "SCT", "Right")
LEFT = Code("7771000", "SCT", "Left")
BILATERAL = Code("51440002", "SCT", "Bilateral")
UNILATERAL = Code("66459002", "SCT", "Unilateral")

VOLUME = Code("118565006", "SCT", "Volume")
AREA = Code("42798000", "SCT", "Area")

_SCT = {
    # anatomy (CID 4 / 7166 and wider SNOMED CT)
    "abdomen": ("818981001", "Abdomen"),
    "adrenal gland": ("23451007", "Adrenal gland"),
    "aorta": ("15825003", "Aorta"),
    "bladder": ("89837001", "Bladder"),
    "bone": ("272673000", "Bone"),
    "brain": ("12738006", "Brain"),
    "breast": ("76752008", "Breast"),
    "cerebellum": ("113305005", "Cerebellum"),
    "chest": ("816094009", "Chest"),
    "colon": ("71854001", "Colon"),
    "cerebral ventricle": ("35764002", "Brain ventricle"),
    "esophagus": ("32849002", "Esophagus"),
    "gallbladder": ("28231008", "Gallbladder"),
    "head": ("69536005", "Head"),
    "heart": ("80891009", "Heart"),
    "hip": ("29836001", "Hip"),
    "kidney": ("64033007", "Kidney"),
    "knee": ("72696002", "Knee"),
    "liver": ("10200004", "Liver"),
    "lung": ("39607008", "Lung"),
    "lymph node": ("59441001", "Lymph node"),
    "neck": ("45048000", "Neck"),
    "pancreas": ("15776009", "Pancreas"),
    "pelvis": ("816092008", "Pelvis"),
    "prostate": ("41216001", "Prostate"),
    "rib": ("113197003", "Rib"),
    "skin": ("39937001", "Skin"),
    "skull": ("89546000", "Skull"),
    "small intestine": ("30315005", "Small intestine"),
    "spinal cord": ("2748008", "Spinal cord"),
    "spleen": ("78961009", "Spleen"),
    "stomach": ("69695003", "Stomach"),
    "thyroid": ("69748006", "Thyroid"),
    "trachea": ("44567001", "Trachea"),
    "uterus": ("35039007", "Uterus"),
    "vertebra": ("51282000", "Vertebra"),
    "whole body": ("38266002", "Entire body"),
    # tissue
    "fat": ("55603005", "Fat"),
    "muscle": ("71616004", "Muscle"),
    # abnormal structures and findings
    "calcification": ("18115005", "Pathologic calcification"),
    "consolidation": ("95436008", "Lung consolidation"),
    "cyst": ("367643001", "Cyst"),
    "edema": ("79654002", "Edema"),
    "fracture": ("72704001", "Fracture"),
    "hemorrhage": ("50960005", "Hemorrhage"),
    "infarct": ("55641003", "Infarct"),
    "lesion": ("52988006", "Lesion"),
    "lung nodule": ("427359005", "Solitary nodule of lung"),
    "mass": ("4147007", "Mass"),
    "metastasis": ("14799000", "Neoplasm, Secondary"),
    "neoplasm": ("108369006", "Neoplasm"),
    "nodule": ("27925004", "Nodule"),
    "pleural effusion": ("60046008", "Pleural effusion"),
    "pneumonia": ("233604007", "Pneumonia"),
    "pneumothorax": ("36118008", "Pneumothorax"),
    "pulmonary embolism": ("59282003", "Pulmonary embolism"),
    "intracranial hemorrhage": ("1386000", "Intracranial hemorrhage"),
}

_DCM = {
    # quantities of maps (CID 7180)
    "apparent diffusion coefficient": ("113041", "Apparent Diffusion Coefficient"),
    "class activation": ("130402", "Class activation"),
    "fat fraction": ("129100", "Fat fraction"),
    "fractional anisotropy": ("110808", "Fractional Anisotropy"),
    "gradient weighted class activation": ("130403", "Gradient-weighted class activation"),
    "mean transit time": ("113052", "Mean Transit Time"),
    "probabilistic segmentation": ("110854", "Fractional Probabilistic Segmentation"),
    "regional blood flow": ("126390", "Absolute Regional Blood Flow"),
    "regional blood volume": ("126391", "Absolute Regional Blood Volume"),
    "saliency": ("130404", "Saliency"),
    "t1": ("113063", "T1"),
    "t2": ("113065", "T2"),
    "time to peak": ("113069", "Time To Peak"),
    "tmax": ("113084", "Tmax"),
}

codes = Codes(
    {
        **{name: Code(value, "DCM", meaning) for name, (value, meaning) in _DCM.items()},
        **{name: Code(value, "SCT", meaning) for name, (value, meaning) in _SCT.items()},
        "anatomical structure": ANATOMICAL_STRUCTURE,
        "tissue": TISSUE,
        "abnormal structure": ABNORMAL_STRUCTURE,
        "spatial and relational concept": SPATIAL_AND_RELATIONAL_CONCEPT,
        "right": RIGHT,
        "left": LEFT,
        "bilateral": BILATERAL,
        "volume": VOLUME,
        "area": AREA,
        "length": Code("410668003", "SCT", "Length"),
        "diameter": Code("81827009", "SCT", "Diameter"),
        "mean": Code("373098007", "SCT", "Mean"),
        "maximum": Code("56851009", "SCT", "Maximum"),
        "minimum": Code("255605001", "SCT", "Minimum"),
        "burned in text": Code("burned-in-text", "99ORCH", "Text burned into the image"),
        "intracranial volume": Code("intracranial-volume", "99ORCH", "Intracranial volume"),
    }
)
