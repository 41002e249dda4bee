"""The words by which WhatsApp says what became of a message, or what it was: deleted, edited, a poll, a place, a call.

Tables only, in the languages of its users and in the form of `words`.
"""

from __future__ import annotations

DELETED = frozenset(
    [
        *("this message was deleted", "you deleted this message", "this message was deleted by admin"),
        *("diese nachricht wurde gelöscht", "du hast diese nachricht gelöscht", "sie haben diese nachricht gelöscht"),
        *("ce message a été supprimé", "vous avez supprimé ce message", "se eliminó este mensaje"),
        *(
            "este mensaje fue eliminado",
            "este mensaje se eliminó",
            "eliminaste este mensaje",
            "has eliminado este mensaje",
        ),
        *("esta mensagem foi apagada", "mensagem apagada", "você apagou esta mensagem", "você apagou essa mensagem"),
        *(
            "essa mensagem foi apagada",
            "esta mensagem foi eliminada",
            "eliminou esta mensagem",
            "eliminaste esta mensagem",
        ),
        *("questo messaggio è stato eliminato", "hai eliminato questo messaggio", "dit bericht is verwijderd"),
        *("dit bericht werd verwijderd", "u hebt dit bericht verwijderd", "je hebt dit bericht verwijderd"),
        *("det här meddelandet raderades", "meddelandet togs bort", "du raderade det här meddelandet"),
        *("du tog bort meddelandet", "denne besked blev slettet", "du slettede denne besked"),
        *(
            "denne meldingen ble slettet",
            "du slettet denne meldingen",
            "tämä viesti poistettiin",
            "poistit tämän viestin",
        ),
        *("ta wiadomość została usunięta", "usunięto tę wiadomość", "wiadomość usunięto", "usunąłeś tę wiadomość"),
        *(
            "tato zpráva byla odstraněna",
            "tato zpráva byla smazána",
            "smazali jste tuto zprávu",
            "odstranili jste tuto zprávu",
        ),
        *("táto správa bola odstránená", "odstránili ste túto správu", "ezt az üzenetet törölték", "üzenet törölve"),
        *("törölted ezt az üzenetet", "acest mesaj a fost șters", "ați șters acest mesaj", "ai șters acest mesaj"),
        *("сообщение удалено", "данное сообщение удалено", "вы удалили данное сообщение", "вы удалили это сообщение"),
        *(
            "это сообщение было удалено",
            "повідомлення видалено",
            "це повідомлення було видалено",
            "ви видалили це повідомлення",
        ),
        *("bu mesaj silindi", "bu mesajı sildiniz", "bu mesajı sildin", "pesan ini telah dihapus", "pesan ini dihapus"),
        *("anda menghapus pesan ini", "anda telah menghapus pesan ini", "mesej ini telah dipadam", "mesej ini dipadam"),
        *(
            "anda memadam mesej ini",
            "tin nhắn này đã bị xóa",
            "tin nhắn này đã bị xoá",
            "bạn đã xóa tin nhắn này",
            "bạn đã xoá tin nhắn này",
        ),
        *(
            "ข้อความนี้ถูกลบแล้ว",
            "ข้อความนี้ถูกลบ",
            "คุณลบข้อความนี้แล้ว",
            "คุณลบข้อความนี้",
            "此訊息已刪除",
            "這則訊息已刪除",
            "這個訊息已被刪除",
        ),
        *(
            "你已刪除此訊息",
            "您已刪除這則訊息",
            "您已刪除這個訊息",
            "此消息已删除",
            "此条消息已删除",
            "您删除了此条消息",
            "你删除了这条消息",
        ),
        *(
            "このメッセージは削除されました",
            "このメッセージを削除しました",
            "あなたはこのメッセージを削除しました",
            "삭제된 메시지입니다",
        ),
        *(
            "이 메시지는 삭제되었습니다",
            "회원님이 이 메시지를 삭제했습니다",
            "이 메시지를 삭제했습니다",
            "تم حذف هذه الرسالة",
            "لقد حذفت هذه الرسالة",
        ),
        *(
            "حذفت هذه الرسالة",
            "این پیام حذف شد",
            "شما این پیام را حذف کردید",
            "הודעה זו נמחקה",
            "ההודעה הזו נמחקה",
            "מחקת הודעה זו",
        ),
        *("मैसेज मिटाया गया", "यह मैसेज मिटाया गया", "यह संदेश हटा दिया गया था", "आपने यह मैसेज मिटाया", "आपने ये मैसेज मिटाया"),
        *(
            "αυτό το μήνυμα διαγράφηκε",
            "διαγράψατε αυτό το μήνυμα",
            "това съобщение беше изтрито",
            "вие изтрихте това съобщение",
        ),
        *("aquest missatge s'ha eliminat", "has eliminat aquest missatge", "ova poruka je izbrisana"),
    ]
)

EDITED = frozenset(
    [
        *("this message was edited", "diese nachricht wurde bearbeitet", "ce message a été modifié"),
        *("se editó este mensaje", "este mensaje fue editado", "este mensaje se editó", "mensagem editada"),
        *("esta mensagem foi editada", "questo messaggio è stato modificato", "dit bericht is bewerkt"),
        *("det här meddelandet redigerades", "meddelandet redigerades", "denne besked er blevet redigeret"),
        *(
            "denne besked blev redigeret",
            "denne meldingen ble redigert",
            "tätä viestiä muokattiin",
            "viestiä on muokattu",
        ),
        *(
            "wiadomość edytowano",
            "ta wiadomość została edytowana",
            "tato zpráva byla upravena",
            "táto správa bola upravená",
        ),
        *("ezt az üzenetet szerkesztették", "üzenet szerkesztve", "acest mesaj a fost editat", "сообщение изменено"),
        *(
            "данное сообщение изменено",
            "это сообщение было изменено",
            "повідомлення змінено",
            "це повідомлення було змінено",
        ),
        *("повідомлення відредаговано", "bu mesaj düzenlendi", "pesan ini diedit", "pesan ini telah diedit"),
        *(
            "mesej ini telah diedit",
            "mesej ini diedit",
            "tin nhắn này đã được chỉnh sửa",
            "tin nhắn này đã được sửa",
            "แก้ไขข้อความนี้แล้ว",
        ),
        *(
            "此訊息已編輯",
            "這則訊息已編輯",
            "此消息已编辑",
            "此消息已被修改",
            "このメッセージは編集されました",
            "메시지가 수정됨",
            "이 메시지가 수정되었습니다",
        ),
        *(
            "تم تعديل هذه الرسالة",
            "این پیام ویرایش شد",
            "הודעה זו נערכה",
            "ההודעה נערכה",
            "यह मैसेज एडिट किया गया",
            "यह मैसेज एडिट किया गया था",
        ),
        *("αυτό το μήνυμα υποβλήθηκε σε επεξεργασία", "това съобщение беше редактирано", "aquest missatge s'ha editat"),
    ]
)

POLL = frozenset(
    [
        *("poll", "umfrage", "sondage", "encuesta", "enquete", "sondaggio", "enquête", "peiling", "omröstning"),
        *("afstemning", "avstemning", "kysely", "ankieta", "anketa", "szavazás", "sondaj", "опрос", "опитування"),
        *("anket", "polling", "jajak pendapat", "undian", "cuộc thăm dò", "bình chọn", "โพลล์", "โพล", "投票"),
        *("アンケート", "투표", "설문", "استطلاع رأي", "استطلاع", "نظرسنجی", "סקר", "पोल", "δημοσκόπηση", "анкета"),
        *("enquesta", "sondagem"),
    ]
)

LIVE_PLACE = frozenset(
    [
        *(
            "live location shared",
            "live-standort wird geteilt",
            "live-standort geteilt",
            "localisation en direct partagée",
        ),
        *(
            "position en direct partagée",
            "ubicación en tiempo real compartida",
            "se compartió la ubicación en tiempo real",
        ),
        *(
            "localização em tempo real compartilhada",
            "localização em tempo real partilhada",
            "posizione attuale condivisa",
        ),
        *(
            "posizione in tempo reale condivisa",
            "livelocatie gedeeld",
            "live locatie gedeeld",
            "lokalizacja na żywo udostępniona",
        ),
        *(
            "трансляция геоданных",
            "отправлены геоданные в реальном времени",
            "canlı konum paylaşıldı",
            "lokasi terkini dibagikan",
        ),
        *(
            "已分享即時位置",
            "已共享实时位置",
            "ライブロケーションを共有しました",
            "실시간 위치 공유됨",
            "تمت مشاركة الموقع المباشر",
            "מיקום בזמן אמת שותף",
        ),
    ]
)

# How the line of a call begins.
CALLS = (
    *(
        "missed voice call",
        "missed video call",
        "missed group voice call",
        "missed group video call",
        "voice call",
        "video call",
    ),
    *("silenced voice call", "silenced video call", "verpasster sprachanruf", "verpasster videoanruf", "sprachanruf"),
    *("videoanruf", "appel vocal manqué", "appel vidéo manqué", "appel vocal", "appel vidéo", "llamada perdida"),
    *("videollamada perdida", "llamada de voz perdida", "llamada de voz", "videollamada", "chamada de voz perdida"),
    *(
        "chamada de vídeo perdida",
        "ligação de voz perdida",
        "ligação de vídeo perdida",
        "chamada de voz",
        "chamada de vídeo",
    ),
    *(
        "ligação de voz",
        "ligação de vídeo",
        "chiamata persa",
        "chiamata vocale persa",
        "videochiamata persa",
        "chiamata vocale",
    ),
    *(
        "videochiamata",
        "gemiste spraakoproep",
        "gemiste video-oproep",
        "gemiste oproep",
        "spraakoproep",
        "video-oproep",
    ),
    *("missat röstsamtal", "missat videosamtal", "röstsamtal", "videosamtal", "ubesvaret stemmeopkald"),
    *("ubesvaret videoopkald", "tapt taleanrop", "tapt videoanrop", "vastaamaton puhelu", "vastaamaton videopuhelu"),
    *("nieodebrane połączenie głosowe", "nieodebrane połączenie wideo", "połączenie głosowe", "połączenie wideo"),
    *("zmeškaný hlasový hovor", "zmeškaný videohovor", "nem fogadott hanghívás", "nem fogadott videohívás"),
    *("apel vocal pierdut", "apel video pierdut", "пропущенный аудиозвонок", "пропущенный видеозвонок", "аудиозвонок"),
    *("видеозвонок", "пропущений голосовий виклик", "пропущений відеовиклик", "cevapsız sesli arama"),
    *("cevapsız görüntülü arama", "sesli arama", "görüntülü arama", "panggilan suara tak terjawab"),
    *("panggilan video tak terjawab", "panggilan suara", "panggilan video", "cuộc gọi thoại nhỡ", "cuộc gọi video nhỡ"),
    *(
        "สายโทรด้วยเสียงที่ไม่ได้รับ",
        "สายวิดีโอคอลที่ไม่ได้รับ",
        "未接語音來電",
        "未接視訊來電",
        "未接语音通话",
        "未接视频通话",
        "語音通話",
        "視訊通話",
    ),
    *(
        "语音通话",
        "视频通话",
        "音声通話に応答なし",
        "ビデオ通話に応答なし",
        "不在着信",
        "音声通話",
        "ビデオ通話",
        "부재중 음성통화",
        "부재중 영상통화",
    ),
    *(
        "음성통화",
        "영상통화",
        "مكالمة صوتية فائتة",
        "مكالمة فيديو فائتة",
        "مكالمة صوتية",
        "مكالمة فيديو",
        "تماس صوتی بی‌پاسخ",
    ),
    *("שיחה קולית שלא נענתה", "שיחת וידאו שלא נענתה", "मिस्ड वॉइस कॉल", "मिस्ड वीडियो कॉल", "αναπάντητη φωνητική κλήση"),
    *("αναπάντητη βιντεοκλήση",),
)
