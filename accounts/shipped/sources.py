"""Where the shipped facts were read. The pages are not ours: a fact's label says how far to trust each."""

CJYUN = "http://m-yangxin.cjyun.org/p/95906.html"
HK01 = "hk01.com, article 704212 (2021-11-23)"
VBNVBN = "https://www.vbnvbn.com/f/240831.html"
CSAI = "https://csai.cn/loan/1389611.html"
ZHUNGEN = "https://m.zhungen.com/baike/202303/2372.html"
WUYIUYAN = "https://5iyuyan.com/25979.html"
GOLANG17 = "https://m.17golang.com/article/299775.html"
GDSWJX = "http://m.gdswjx.net/yxwd/202601/532084.html"
LANSAI = "https://cj001.lansai.wang/1967.html"
YIQIER = "https://172262.com/baike/8201020246561088906301104907.html"
LOU19 = "https://taizhou.19lou.com/cnr/biua/yqfenqi/2121021.html"
SQZRW = "http://m.sqzrw.cn/b/201790.html"
SUNLONGER = "https://sunlonger.com/daikuan/675999.html"
HNCGGZ = "https://www.hncggz.com/haiwai/225413.html"
DWSC = "https://dwsc.com.cn/b/309688.html"
H5UC = "http://www.h5uc.com/gonglue/202007/96829.html"
YSZNH = "http://ysznh.com/Signaturedesign/rktkkgublz.html"
WZASK = "http://www.wzask.com/f/507dfef7bcf5687a.html"
XIAOTU = "http://xiaotubaobei.com/html/wangdaihbs/11568.html"
NONE_FOUND = "no source found"


def of(*pages: str) -> str:
    """Several pages as one text."""
    return "; ".join(pages)
