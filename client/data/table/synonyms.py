"""What hospitals write instead of the words of a closed column, in Chinese and English, and the word to suggest.

Nothing here is ever taken silently: a fault suggests it, and `labels` in site.yaml makes it the hospital's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.study.taxonomy import BIOMARKERS

_TYPES: Mapping[str, str] = {
    "hepatocellular carcinoma": "HCC",
    "肝细胞癌": "HCC",
    "肝细胞肝癌": "HCC",
    "原发性肝细胞癌": "HCC",
    "metastasis": "HM",
    "liver metastasis": "HM",
    "CRLM": "HM",
    "肝转移瘤": "HM",
    "肝转移癌": "HM",
    "转移瘤": "HM",
    "转移癌": "HM",
    "转移性肝癌": "HM",
    "CCA": "ICC",
    "cholangiocarcinoma": "ICC",
    "胆管细胞癌": "ICC",
    "肝内胆管癌": "ICC",
    "肝内胆管细胞癌": "ICC",
    "hemangioma": "HH",
    "haemangioma": "HH",
    "血管瘤": "HH",
    "肝血管瘤": "HH",
    "abscess": "HA",
    "脓肿": "HA",
    "肝脓肿": "HA",
    "FNH": "OT",
    "focal nodular hyperplasia": "OT",
    "局灶性结节增生": "OT",
    "局灶性结节性增生": "OT",
    "HCA": "OT",
    "adenoma": "OT",
    "腺瘤": "OT",
    "肝腺瘤": "OT",
    "angiomyolipoma": "OT",
    "血管平滑肌脂肪瘤": "OT",
    "lipoma": "OT",
    "脂肪瘤": "OT",
    "肝脂肪瘤": "OT",
    "lymphoma": "OT",
    "淋巴瘤": "OT",
    "sarcoma": "OT",
    "肉瘤": "OT",
    "NET": "OT",
    "神经内分泌肿瘤": "OT",
    "other": "OT",
    "其他": "OT",
    "其它": "OT",
}
_YES_NO: Mapping[str, str] = {
    "是": "yes",
    "有": "yes",
    "阳性": "yes",
    "true": "yes",
    "y": "yes",
    "否": "no",
    "无": "no",
    "没有": "no",
    "阴性": "no",
    "false": "no",
    "n": "no",
}
_TESTED: Mapping[str, str] = {
    "positive": "1",
    "pos": "1",
    "+": "1",
    "(+)": "1",
    "yes": "1",
    "阳性": "1",
    "negative": "0",
    "neg": "0",
    "-": "0",
    "(-)": "0",
    "no": "0",
    "阴性": "0",
    "未查": "",
    "未做": "",
    "未检测": "",
    "不详": "",
    "not tested": "",
    "unknown": "",
}
_BLANKS: Mapping[str, str] = {"不详": "", "未知": "", "未查": "", "unknown": ""}

WORDS: Mapping[str, Mapping[str, str]] = {
    "fll_type": {**_TYPES, **_BLANKS},
    "diagnosis": _TYPES,
    "sex": {"男": "male", "女": "female", "男性": "male", "女性": "female", **_BLANKS},
    **{
        name: {**_YES_NO, **_BLANKS}
        for name in (
            "viral_hepatitis",
            "malignancy_history",
            "cirrhosis",
            "fatty_liver",
            "pathology_confirmed",
            "followup_confirmed",
            "track_checked",
            "clip_checked",
            "assisted",
        )
    },
    **dict.fromkeys(BIOMARKERS, _TESTED),
    "outline_pane": {
        "CEUS": "contrast",
        "造影": "contrast",
        "B-mode": "bmode",
        "B mode": "bmode",
        "灰阶": "bmode",
        "二维": "bmode",
        "full": "screen",
        "全屏": "screen",
    },
    "role": {
        "低年资": "junior",
        "初级": "junior",
        "resident": "junior",
        "高年资": "senior",
        "高级": "senior",
        "expert": "senior",
        "MRI radiologist": "mri",
        "磁共振": "mri",
    },
}
"""Column → {the hospital's word: ours}; "" stands for a blank cell."""
