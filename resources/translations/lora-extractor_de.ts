<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>AboutDialog</name>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>About {name}</source>
        <translation>Über {name}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>Apache License 2.0. Nothing is ever sent anywhere. It is made with these programs:</source>
        <translation>Apache License 2.0. Es werden niemals Daten gesendet. Verwendet werden diese Programme:</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>Licences</source>
        <translation>Lizenzen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>Makes a LoRA from a fine-tuned model and the model it was trained from, and says how good it is.</source>
        <translation>Macht aus einem feinabgestimmten Modell und seinem Original ein LoRA und sagt, wie gut es ist.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>Reading the licences…</source>
        <translation>Lizenzen werden gelesen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/about_dialog.py"/>
        <source>{name} {version}</source>
        <translation>{name} {version}</translation>
    </message>
</context>
<context>
    <name>BarButtons</name>
    <message>
        <location filename="../../app/widgets/bar/buttons.py"/>
        <source>More</source>
        <translation>Mehr</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/buttons.py"/>
        <source>More that can be done with this LoRA</source>
        <translation>Was sich mit diesem LoRA noch tun lässt</translation>
    </message>
</context>
<context>
    <name>BarParts</name>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Back</source>
        <translation>Zurück</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Back to the result of the last run</source>
        <translation>Zurück zum Ergebnis des letzten Laufs</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Choose the folder that LoRAs are written to</source>
        <translation>Ordner wählen, in den LoRAs geschrieben werden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Copy as command line</source>
        <translation>Als Befehlszeile kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Copy details</source>
        <translation>Details kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Copy the command that extracts this LoRA without the window</source>
        <translation>Den Befehl kopieren, der dieses LoRA ohne Fenster extrahiert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Extract</source>
        <translation>Extrahieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Extract all layers anew, also those that are finished</source>
        <translation>Alle Schichten neu extrahieren, auch die schon fertigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Measure the file against the two models, independently of the run</source>
        <translation>Die Datei an den beiden Modellen nachmessen, unabhängig vom Lauf</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Open folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Output folder…</source>
        <translation>Ausgabeordner…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Progress</source>
        <translation>Fortschritt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Start over</source>
        <translation>Neu beginnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Stop</source>
        <translation>Stoppen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/parts.py"/>
        <source>Verify</source>
        <translation>Prüfen</translation>
    </message>
</context>
<context>
    <name>BatchPanel</name>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>Batches</source>
        <translation>Batches</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>One bar per batch: where its time went.</source>
        <translation>Ein Balken je Batch: wofür die Zeit gebraucht wurde.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>Plot of the time of each batch by stage</source>
        <translation>Diagramm der Zeit jedes Batches nach Abschnitten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>The stages' times in each batch, added up over its layers; stages and batches overlap.</source>
        <translation>Die Zeiten der Abschnitte in jedem Batch, über dessen Schichten summiert; Abschnitte und Batches überlappen sich.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>compute</source>
        <translation>Rechnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>last {last} · mean {mean}</source>
        <translation>zuletzt {last} · im Mittel {mean}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>mean {mean}</source>
        <translation>im Mittel {mean}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>read</source>
        <translation>Lesen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>the device waited {share} of the time for data</source>
        <translation>das Gerät wartete {share} der Zeit auf Daten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>upload</source>
        <translation>Übertragen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>write</source>
        <translation>Schreiben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>{kept} of {layers} came from earlier runs</source>
        <translation>{kept} von {layers} stammen aus früheren Läufen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>{stage} {percent} %</source>
        <translation>{stage} {percent} %</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/batch_panel.py"/>
        <source>{time} of {total}, added up over layers that are worked on side by side</source>
        <translation>{time} von {total}, über Schichten summiert, an denen nebeneinander gearbeitet wird</translation>
    </message>
</context>
<context>
    <name>BottomBar</name>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Copy paths</source>
        <translation>Pfade kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Decomposing: layer {layer} of {total}</source>
        <translation>Zerlegen: Schicht {layer} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Layer {layer} of {total}</source>
        <translation>Schicht {layer} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>No LoRA was written yet.</source>
        <translation>Es wurde noch kein LoRA geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Nothing was written. Extract starts again from the first layer.</source>
        <translation>Es wurde nichts geschrieben. „Extrahieren“ beginnt wieder bei der ersten Schicht.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Reading both models</source>
        <translation>Beide Modelle werden gelesen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Reading: layer {layer} of {total}</source>
        <translation>Lesen: Schicht {layer} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Starting…</source>
        <translation>Wird gestartet…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Stopped after {done} of {total} layers</source>
        <translation>Gestoppt nach {done} von {total} Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Stopped: {done} of {total} layers are kept; Extract continues from there</source>
        <translation>Gestoppt: {done} von {total} Schichten bleiben erhalten; „Extrahieren“ macht dort weiter</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Stopping…</source>
        <translation>Wird gestoppt…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Unfinished layers are dropped.</source>
        <translation>Unfertige Schichten werden verworfen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Verifying {name}…</source>
        <translation>{name} wird geprüft…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Will write {name}</source>
        <translation>Schreibt {name}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>Writing: layer {layer} of {total}</source>
        <translation>Schreiben: Schicht {layer} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>in {folder}</source>
        <translation>in {folder}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>{done} of {total} weights measured</source>
        <translation>{done} von {total} Gewichten gemessen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>{job}: layer {layer} of {total}</source>
        <translation>{job}: Schicht {layer} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>{message} {remedy}</source>
        <translation>{message} {remedy}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>{quality} · {verdict}</source>
        <translation>{quality} · {verdict}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/bottom_bar.py"/>
        <source>⚠ {text}</source>
        <translation>⚠ {text}</translation>
    </message>
</context>
<context>
    <name>BugReportDialog</name>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Copy this text into your report, and say what you did and what you expected.</source>
        <translation>Diesen Text in die Meldung kopieren und dazu schreiben, was getan und was erwartet wurde.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Could not be saved: {reason}</source>
        <translation>Konnte nicht gespeichert werden: {reason}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Report for a bug</source>
        <translation>Fehlerbericht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Save as…</source>
        <translation>Speichern unter…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Save the report</source>
        <translation>Bericht speichern</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Saved as {name}</source>
        <translation>Gespeichert als {name}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>Text (*.txt)</source>
        <translation>Text (*.txt)</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>The report</source>
        <translation>Der Bericht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/bug_report_dialog.py"/>
        <source>With file paths and names</source>
        <translation>Mit Dateipfaden und Namen</translation>
    </message>
</context>
<context>
    <name>CacheRow</name>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Above this the longest unused go first. 0 keeps nothing.</source>
        <translation>Darüber wird das am längsten Unbenutzte zuerst entfernt. Bei 0 bleibt nichts.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Cache</source>
        <translation>Cache</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Clear</source>
        <translation>Leeren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Clear now…</source>
        <translation>Jetzt leeren…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Clear the cache</source>
        <translation>Cache leeren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Clearing…</source>
        <translation>Wird geleert…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Copy the path of the cache</source>
        <translation>Pfad des Caches kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Empty</source>
        <translation>Leer</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Keep</source>
        <translation>Behalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Keep at most</source>
        <translation>Höchstens behalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Looking…</source>
        <translation>Wird ermittelt…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Part of the cache's limit in use</source>
        <translation>Belegter Teil der Cache-Grenze</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Remove {size} of earlier extractions?</source>
        <translation>{size} aus früheren Extraktionen entfernen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Removed {freed}; nothing is left</source>
        <translation>{freed} entfernt; es bleibt nichts übrig</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Removed {freed}; {size} belong to a running extraction and stay</source>
        <translation>{freed} entfernt; {size} gehören zu einer laufenden Extraktion und bleiben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>What was computed is kept, so that another rank or precision takes seconds and needs no models.</source>
        <translation>Berechnetes bleibt erhalten: Ein anderer Rang oder eine andere Genauigkeit braucht dann nur Sekunden und keine Modelle.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Write a size such as 10 GB, 500 MB or 2.5 GB.</source>
        <translation>Eine Größe wie 10 GB, 500 MB oder 2.5 GB eingeben.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>Your models and LoRAs stay. Extractions that were stopped cannot be continued afterwards, and another rank needs the models again.</source>
        <translation>Modelle und LoRAs bleiben. Gestoppte Extraktionen lassen sich danach nicht fortsetzen, und ein anderer Rang braucht wieder die Modelle.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/cache_row.py"/>
        <source>{size} in use</source>
        <translation>{size} belegt</translation>
    </message>
</context>
<context>
    <name>ChangeMap</name>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>+ {count} more</source>
        <translation>+ {count} weitere</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>Cells beyond the ends of the scale have the colour of the end.</source>
        <translation>Zellen jenseits der Skala haben die Farbe ihres Endes.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>Change kept</source>
        <translation>Änderung erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>Change map: blocks by kinds of layers</source>
        <translation>Änderungskarte: Blöcke nach Arten von Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>Changed</source>
        <translation>Geändert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>Finished layers appear here by block and kind: where the change is, and how large.</source>
        <translation>Fertige Schichten erscheinen hier nach Block und Art: wo die Änderung liegt und wie groß sie ist.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>What the map shows</source>
        <translation>Was die Karte zeigt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>Where the fine-tune changed</source>
        <translation>Wo die Feinabstimmung geändert hat</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>biases</source>
        <translation>Bias-Werte</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>brighter = changed more</source>
        <translation>heller = stärker geändert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>darker = changed more</source>
        <translation>dunkler = stärker geändert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>no layer</source>
        <translation>keine Schicht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>norms</source>
        <translation>Normen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>others</source>
        <translation>übrige</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>outer layers</source>
        <translation>äußere Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>outside blocks</source>
        <translation>außerhalb der Blöcke</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>stronger = more of it lost</source>
        <translation>kräftiger = mehr davon verloren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>{blocks} × {kinds}</source>
        <translation>{blocks} × {kinds}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>{block}: no {kind} here</source>
        <translation>{block}: hier kein {kind}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>{count} blocks</source>
        <translation>
            <numerusform>{count} Block</numerusform>
            <numerusform>{count} Blöcke</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>{count} kinds</source>
        <translation>
            <numerusform>{count} Art</numerusform>
            <numerusform>{count} Arten</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>{layer}: changed {change}, {kept} of it kept</source>
        <translation>{layer}: geändert {change}, davon {kept} erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>{layer}: not finished yet</source>
        <translation>{layer}: noch nicht fertig</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>≤ {value}</source>
        <translation>≤ {value}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/change_map/panel.py"/>
        <source>≥ {value}</source>
        <translation>≥ {value}</translation>
    </message>
</context>
<context>
    <name>CrashBar</name>
    <message>
        <location filename="../../app/widgets/help/crash_bar.py"/>
        <source>Copy report…</source>
        <translation>Bericht kopieren…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/crash_bar.py"/>
        <source>Show log file</source>
        <translation>Protokolldatei anzeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/crash_bar.py"/>
        <source>The program ended unexpectedly last time.</source>
        <translation>Das Programm wurde zuletzt unerwartet beendet.</translation>
    </message>
</context>
<context>
    <name>DemoDialog</name>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Comparing</source>
        <translation>Vergleich läuft</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Digits drawn by the three models with the same seeds</source>
        <translation>Ziffern der drei Modelle mit denselben Seeds</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Drawing digits with the original, the fine-tuned model, and the original with the LoRA…</source>
        <translation>Ziffern werden gezeichnet: mit dem Original, dem feinabgestimmten Modell und dem Original mit LoRA…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Left: digits drawn by the three models with the same seeds.</source>
        <translation>Links: Ziffern der drei Modelle mit denselben Seeds.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Loss</source>
        <translation>Verlust</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Losses of the three models</source>
        <translation>Verluste der drei Modelle</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>Open folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>The LoRA is written, but it could not be compared.</source>
        <translation>Das LoRA ist geschrieben, ließ sich aber nicht vergleichen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>The LoRA is written. Does it work?</source>
        <translation>Das LoRA ist geschrieben. Funktioniert es?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>The LoRA recovers {share} of what the fine-tune learned.</source>
        <translation>Das LoRA gibt {share} des Gelernten wieder.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>The demo: does the LoRA work?</source>
        <translation>Demo: Funktioniert das LoRA?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/demo_dialog.py"/>
        <source>The loss is the mean error on held-out digits in the style of the fine-tune; smaller is better.</source>
        <translation>Der Verlust ist der mittlere Fehler bei zurückgehaltenen Ziffern im Stil der Feinabstimmung; kleiner ist besser.</translation>
    </message>
</context>
<context>
    <name>ErrorReporter</name>
    <message>
        <location filename="../../app/window/application.py"/>
        <source>An unexpected error happened. Your models are untouched; you can go on working.</source>
        <translation>Ein unerwarteter Fehler ist aufgetreten. Die Modelle sind unverändert, und die Arbeit kann weitergehen.</translation>
    </message>
    <message>
        <location filename="../../app/window/application.py"/>
        <source>Please report it with the details below.</source>
        <translation>Bitte mit den Details unten melden.</translation>
    </message>
    <message>
        <location filename="../../app/window/application.py"/>
        <source>Something went wrong</source>
        <translation>Etwas ist schiefgegangen</translation>
    </message>
</context>
<context>
    <name>ExplorePanel</name>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source> MB</source>
        <translation> MB</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source> kB</source>
        <translation> kB</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>After a run, see here at once what another rank would keep and how large the file would be.</source>
        <translation>Nach einem Lauf zeigt sich hier sofort, was ein anderer Rang erhielte und wie groß die Datei würde.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Change kept, mean</source>
        <translation>Änderung erhalten, Mittel</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Choose by</source>
        <translation>Wählen nach</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Extract at {rank}</source>
        <translation>Mit {rank} extrahieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Extract this one</source>
        <translation>Dieses extrahieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>File size</source>
        <translation>Dateigröße</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Kept of what was compared</source>
        <translation>Vom Verglichenen erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>This file holds whole differences only; there is no rank to choose.</source>
        <translation>Diese Datei enthält nur ganze Differenzen; es gibt keinen Rang zu wählen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Try another rank</source>
        <translation>Anderen Rang versuchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Worst layer</source>
        <translation>Schwächste Schicht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>Write this one</source>
        <translation>Dieses schreiben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>no models needed</source>
        <translation>braucht keine Modelle</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/explore_panel.py"/>
        <source>reads the models again</source>
        <translation>liest die Modelle noch einmal</translation>
    </message>
</context>
<context>
    <name>FileRow</name>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>A folder: {path}</source>
        <translation>Ein Ordner: {path}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Copy the path of {name}</source>
        <translation>Pfad von {name} kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Show the layers of {name}</source>
        <translation>Schichten von {name} zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Shown</source>
        <translation>Gezeigt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Verify</source>
        <translation>Prüfen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Verify {name}</source>
        <translation>{name} prüfen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>{mark} {verdict}</source>
        <translation>{mark} {verdict}</translation>
    </message>
</context>
<context>
    <name>FilesPanel</name>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Kept</source>
        <translation>Erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Open folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Open the folder of these files</source>
        <translation>Ordner dieser Dateien öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/files_panel.py"/>
        <source>Worst layer</source>
        <translation>Schwächste Schicht</translation>
    </message>
</context>
<context>
    <name>FindOriginalDialog</name>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>A folder to look through</source>
        <translation>Ein Ordner, der durchsucht wird</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Add folder…</source>
        <translation>Ordner hinzufügen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Candidates, the nearest first</source>
        <translation>Kandidaten, der nächste zuerst</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Choose the folders where its original may lie. A few rows of every weight are compared with every model in them and below them.</source>
        <translation>Die Ordner wählen, in denen sein Original liegen kann. Einige Zeilen jedes Gewichts werden mit jedem Modell darin und darunter verglichen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Comparing {done} of {total} models…</source>
        <translation>Modell {done} von {total} wird verglichen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Difference from the model, as a share of the candidate's numbers</source>
        <translation>Unterschied zum Modell, als Anteil an den Zahlen des Kandidaten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Distance</source>
        <translation>Abstand</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Find the original</source>
        <translation>Original suchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Folders to look through</source>
        <translation>Ordner, die durchsucht werden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Looking through the folders…</source>
        <translation>Die Ordner werden durchsucht…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Of the merge, and the bounds of that share</source>
        <translation>An der Mischung, und die Grenzen dieses Anteils</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Remark</source>
        <translation>Anmerkung</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Search</source>
        <translation>Suchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Share</source>
        <translation>Anteil</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Stop</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Stopping…</source>
        <translation>Wird angehalten…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Stored as</source>
        <translation>Gespeichert als</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>The search was stopped.</source>
        <translation>Die Suche wurde angehalten.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Use this one</source>
        <translation>Dieses verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>What was compared so far is remembered; the next search goes on from there.</source>
        <translation>Was bisher verglichen wurde, ist gemerkt; die nächste Suche macht dort weiter.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>What was skipped</source>
        <translation>Was übergangen wurde</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/find_dialog.py"/>
        <source>Which model was {name} made from?</source>
        <translation>Aus welchem Modell wurde {name} gemacht?</translation>
    </message>
</context>
<context>
    <name>FurtherFiles</name>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>A further file each, of the same run: the models are read and worked on once.</source>
        <translation>Je eine weitere Datei desselben Laufs: Die Modelle werden einmal gelesen und bearbeitet.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>Also for</source>
        <translation>Auch für</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>Also for: {names}</source>
        <translation>Auch für: {names}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>Also ranks</source>
        <translation>Auch Ränge</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>Also sizes</source>
        <translation>Auch Größen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>Further files of the same run: the models are read and worked on once.</source>
        <translation>Weitere Dateien desselben Laufs: Die Modelle werden einmal gelesen und bearbeitet.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>nothing else</source>
        <translation>nichts weiter</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>such as 32, 128</source>
        <translation>z. B. 32, 128</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/further_files.py"/>
        <source>such as 50 MB, 300 MB</source>
        <translation>z. B. 50 MB, 300 MB</translation>
    </message>
</context>
<context>
    <name>GpuAdvice</name>
    <message>
        <location filename="../../app/system/idle_gpu.py"/>
        <source>The {card} is idle: the installed PyTorch was built for processors only. docs/building.md says how to install PyTorch's CUDA build.</source>
        <translation>{card} bleibt ungenutzt: Das installierte PyTorch ist nur für Prozessoren gebaut. docs/building.md sagt, wie man PyTorch mit CUDA installiert.</translation>
    </message>
    <message>
        <location filename="../../app/system/idle_gpu.py"/>
        <source>The {card} is idle: this edition of LoRA Extractor computes on the processor only. The edition for NVIDIA cards uses it.</source>
        <translation>{card} bleibt ungenutzt: Diese Ausgabe von LoRA Extractor rechnet nur auf dem Prozessor. Die Ausgabe für NVIDIA-Karten nutzt sie.</translation>
    </message>
</context>
<context>
    <name>HardwarePanel</name>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Blocks kept on the device for the next extraction; they are freed after five idle minutes, or at once with this button.</source>
        <translation>Blöcke, die für die nächste Extraktion auf dem Gerät bleiben; nach fünf Minuten ohne Arbeit werden sie freigegeben, mit dieser Schaltfläche sofort.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Cannot be used: {titles}.</source>
        <translation>Nicht verwendbar: {titles}.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Fewer hardware settings</source>
        <translation>Weniger Hardware-Einstellungen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Free memory ({size})</source>
        <translation>Speicher freigeben ({size})</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Hardware</source>
        <translation>Hardware</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Kept only with a memory budget.</source>
        <translation>Bleiben nur mit einem Speicherbudget.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>More hardware settings</source>
        <translation>Mehr Hardware-Einstellungen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>No graphics card in use: the processor computes, with {size} to work in.</source>
        <translation>Keine Grafikkarte in Gebrauch: Der Prozessor rechnet, mit {size} Arbeitsspeicher.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Suggested:</source>
        <translation>Vorschlag:</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>This profile suits the {device} with {size}.</source>
        <translation>Dieses Profil passt zu {device} mit {size}.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Use the profile for {device}</source>
        <translation>Profil für {device} verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>Use the suggested profile</source>
        <translation>Vorgeschlagenes Profil verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>by itself in {count} min</source>
        <translation>von selbst in {count} min</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>less</source>
        <translation>weniger</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/hardware_panel.py"/>
        <source>more</source>
        <translation>mehr</translation>
    </message>
</context>
<context>
    <name>KeptCurve</name>
    <message>
        <location filename="../../app/widgets/basics/kept_drawing.py"/>
        <source>Change kept over file size</source>
        <translation>Änderung erhalten über Dateigröße</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/kept_drawing.py"/>
        <source>Change kept, mean, over the file size. Hatched: between the bounds, not computed yet.</source>
        <translation>Erhaltene Änderung im Mittel über der Dateigröße. Schraffiert: zwischen den Schranken, noch nicht berechnet.</translation>
    </message>
</context>
<context>
    <name>LastResult</name>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Copy the path of the last LoRA</source>
        <translation>Pfad des letzten LoRAs kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Last: {name}</source>
        <translation>Zuletzt: {name}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Open folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Open the folder of the last LoRA</source>
        <translation>Ordner des letzten LoRAs öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Verify</source>
        <translation>Prüfen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>Verify the last LoRA against the two models</source>
        <translation>Das letzte LoRA an den beiden Modellen prüfen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>{mark} {judgement}</source>
        <translation>{mark} {judgement}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>{mark} {name}: {judgement}</source>
        <translation>{mark} {name}: {judgement}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/last_result.py"/>
        <source>⚠ Last: {name}: {warning}</source>
        <translation>⚠ Zuletzt: {name}: {warning}</translation>
    </message>
</context>
<context>
    <name>LayerModel</name>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>100 %</source>
        <translation>100 %</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Change kept</source>
        <translation>Änderung erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Changed</source>
        <translation>Geändert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Error</source>
        <translation>Fehler</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Layer</source>
        <translation>Schicht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Noise</source>
        <translation>Rauschen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Real kept</source>
        <translation>Echt erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Shape</source>
        <translation>Form</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Size of the change, as a share of the original weight's size</source>
        <translation>Größe der Änderung, als Anteil am ursprünglichen Gewicht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Size of what is lost, as a share of the change's size</source>
        <translation>Größe des Verlusts, als Anteil an der Änderung</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>The difference itself is stored, not factors of it.</source>
        <translation>Die Differenz selbst ist gespeichert, keine Faktoren.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>The rule asked for more than the highest rank allowed.</source>
        <translation>Die Regel verlangte mehr als den höchsten erlaubten Rang.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>Time</source>
        <translation>Zeit</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>from zero</source>
        <translation>von null</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>whole</source>
        <translation>ganz</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_model.py"/>
        <source>{percent} %</source>
        <translation>{percent} %</translation>
    </message>
</context>
<context>
    <name>LayersPanel</name>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>All layers</source>
        <translation>Alle Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Changed the most</source>
        <translation>Am stärksten geändert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Comma-separated values (*.csv)</source>
        <translation>Kommagetrennte Werte (*.csv)</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Copy names</source>
        <translation>Namen kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Cut by the rank limit</source>
        <translation>Vom Höchstrang gekürzt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Find a layer</source>
        <translation>Schicht suchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Find a layer…</source>
        <translation>Schicht suchen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Finished layers appear here, with how much of each change is kept.</source>
        <translation>Fertige Schichten erscheinen hier, jeweils mit dem erhaltenen Teil der Änderung.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Kept below {percent} %</source>
        <translation>Unter {percent} % erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Layers shown</source>
        <translation>Gezeigte Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>No layer matches.</source>
        <translation>Keine Schicht passt.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Parts of a name, in any order</source>
        <translation>Teile eines Namens, in beliebiger Reihenfolge</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Save as CSV…</source>
        <translation>Als CSV speichern…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Save the layers</source>
        <translation>Schichten speichern</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Save the layers shown, with all digits of their numbers</source>
        <translation>Gezeigte Schichten speichern, mit allen Stellen ihrer Zahlen</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Saved {count} layers as {file}</source>
        <translation>
            <numerusform>{count} Schicht gespeichert als {file}</numerusform>
            <numerusform>{count} Schichten gespeichert als {file}</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Stored whole</source>
        <translation>Ganz gespeichert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>The tenth of the layers that changed the most</source>
        <translation>Das Zehntel der Schichten, das sich am stärksten geändert hat</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>{count} chosen</source>
        <translation>
            <numerusform>{count} ausgewählt</numerusform>
            <numerusform>{count} ausgewählt</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>{count} kept below {percent} %</source>
        <translation>
            <numerusform>{count} unter {percent} % erhalten</numerusform>
            <numerusform>{count} unter {percent} % erhalten</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>{shown} of {total}</source>
        <translation>{shown} von {total}</translation>
    </message>
</context>
<context>
    <name>LayersTab</name>
    <message>
        <location filename="../../app/widgets/tabs/layers_tab.py"/>
        <source>Table and spectrum</source>
        <translation>Tabelle und Spektrum</translation>
    </message>
</context>
<context>
    <name>LeftOutDialog</name>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>Copy list</source>
        <translation>Liste kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>Left out</source>
        <translation>Weggelassen</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>These {count} tensors are not in the LoRA. Everything else is.</source>
        <translation>
            <numerusform>{count} Tensor ist nicht im LoRA. Alles andere ist enthalten.</numerusform>
            <numerusform>{count} Tensoren sind nicht im LoRA. Alles andere ist enthalten.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>What is left out</source>
        <translation>Was weggelassen wird</translation>
    </message>
</context>
<context>
    <name>LeftOutModel</name>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/left_out_dialog.py"/>
        <source>Why it is left out</source>
        <translation>Warum weggelassen</translation>
    </message>
</context>
<context>
    <name>LogPanel</name>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Clear</source>
        <translation>Leeren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Clear the log</source>
        <translation>Protokoll leeren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Copy the log</source>
        <translation>Protokoll kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Every layer</source>
        <translation>Jede Schicht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Find in the log</source>
        <translation>Im Protokoll suchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Find in the log…</source>
        <translation>Im Protokoll suchen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Lines shown</source>
        <translation>Gezeigte Zeilen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Log</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Log (*.log *.txt)</source>
        <translation>Protokoll (*.log *.txt)</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>No line has this in it.</source>
        <translation>Keine Zeile enthält das.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Report a bug…</source>
        <translation>Fehler melden…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Save as…</source>
        <translation>Speichern unter…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Save the log</source>
        <translation>Protokoll speichern</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Saved as {name}</source>
        <translation>Gespeichert als {name}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>The log could not be saved: {reason}</source>
        <translation>Das Protokoll konnte nicht gespeichert werden: {reason}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Usual</source>
        <translation>Üblich</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>Warnings and errors</source>
        <translation>Warnungen und Fehler</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>What happens is written down here.</source>
        <translation>Hier steht, was geschieht.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/log_view.py"/>
        <source>{shown} of {all} lines</source>
        <translation>{shown} von {all} Zeilen</translation>
    </message>
</context>
<context>
    <name>MemoryPanel</name>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>Device memory</source>
        <translation>Gerätespeicher</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>Plot of device memory over time</source>
        <translation>Diagramm des Gerätespeichers im Lauf der Zeit</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>Show the last two minutes instead of the whole run</source>
        <translation>Die letzten zwei Minuten statt des ganzen Laufs zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>While an extraction runs, the memory it uses is drawn here.</source>
        <translation>Während einer Extraktion erscheint hier der belegte Speicher.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>last 2 min</source>
        <translation>letzte 2 min</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>limit {percent} %</source>
        <translation>Grenze {percent} %</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>limit {percent} %, {size}</source>
        <translation>Grenze {percent} %, {size}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>this run</source>
        <translation>dieser Lauf</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>whole device</source>
        <translation>ganzes Gerät</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>whole run</source>
        <translation>ganzer Lauf</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{size} kept for the next run</source>
        <translation>{size} für den nächsten Lauf behalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{size} kept for the next run ({blocks})</source>
        <translation>{size} für den nächsten Lauf behalten ({blocks})</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{size} read ahead</source>
        <translation>{size} vorausgelesen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} {count}×</source>
        <translation>{title} {count}×</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} · this run {run} of {total} budget · peak {peak}</source>
        <translation>{title} · dieser Lauf {run} von {total} · Spitze {peak}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} · this run {run} of {total} free before · peak {peak}</source>
        <translation>{title} · dieser Lauf {run} von {total}, die frei waren · Spitze {peak}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} · this run {run} · peak {peak} · in use {used} of {total}</source>
        <translation>{title} · dieser Lauf {run} · Spitze {peak} · belegt {used} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} · this run: peak {peak} of {total}</source>
        <translation>{title} · dieser Lauf: Spitze {peak} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} · this run: peak {peak} of {total} budget</source>
        <translation>{title} · dieser Lauf: Spitze {peak}, Budget {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{title} · this run: peak {peak} of {total} free before</source>
        <translation>{title} · dieser Lauf: Spitze {peak} von {total}, die frei waren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_panel.py"/>
        <source>{words} · at most {promised} promised</source>
        <translation>{words} · höchstens {promised} zugesagt</translation>
    </message>
</context>
<context>
    <name>Menus</name>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;About LoRA Extractor</source>
        <translation>Ü&amp;ber LoRA Extractor</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Add what is shown</source>
        <translation>Aktuelles &amp;hinzufügen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Copy as command line</source>
        <translation>Als &amp;Befehlszeile kopieren</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Extract</source>
        <translation>&amp;Extrahieren</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;File</source>
        <translation>&amp;Datei</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Find a layer</source>
        <translation>Schicht &amp;suchen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Free device memory</source>
        <translation>&amp;Gerätespeicher freigeben</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Help</source>
        <translation>&amp;Hilfe</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Keyboard shortcuts</source>
        <translation>&amp;Tastenkürzel</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Layers</source>
        <translation>Schi&amp;chten</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Memory and time</source>
        <translation>Speicher und &amp;Zeit</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Queue</source>
        <translation>&amp;Warteschlange</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Quit</source>
        <translation>&amp;Beenden</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Reset LoRA options</source>
        <translation>LoRA-Optionen &amp;zurücksetzen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Result</source>
        <translation>&amp;Ergebnis</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Run all</source>
        <translation>&amp;Alle ausführen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Show output folder</source>
        <translation>Ausgabeordner an&amp;zeigen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Stop</source>
        <translation>&amp;Stoppen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Tools</source>
        <translation>E&amp;xtras</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;User guide</source>
        <translation>&amp;Anleitung</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;Verify a LoRA…</source>
        <translation>LoRA &amp;prüfen…</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>&amp;View</source>
        <translation>&amp;Ansicht</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Copy &amp;report for a bug…</source>
        <translation>&amp;Fehlerbericht kopieren…</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Extract all layers anew, also those that are finished</source>
        <translation>Alle Schichten neu extrahieren, auch die schon fertigen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>L&amp;og</source>
        <translation>&amp;Protokoll</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Open &amp;fine-tuned model…</source>
        <translation>&amp;Feinabgestimmtes Modell öffnen…</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Open &amp;original model…</source>
        <translation>&amp;Originalmodell öffnen…</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Output fol&amp;der…</source>
        <translation>&amp;Ausgabeordner…</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>S&amp;ettings…</source>
        <translation>&amp;Einstellungen…</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>S&amp;wap the models</source>
        <translation>Modelle &amp;tauschen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Show &amp;log files</source>
        <translation>&amp;Protokolldateien anzeigen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Start &amp;over</source>
        <translation>&amp;Neu beginnen</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Theme: &amp;dark</source>
        <translation>Design: &amp;dunkel</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Theme: as the s&amp;ystem</source>
        <translation>Design: wie das S&amp;ystem</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Theme: l&amp;ight</source>
        <translation>Design: &amp;hell</translation>
    </message>
    <message>
        <location filename="../../app/window/menus.py"/>
        <source>Try it with the &amp;demo</source>
        <translation>&amp;Demo ausprobieren</translation>
    </message>
</context>
<context>
    <name>ModelCard</name>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>All files</source>
        <translation>Alle Dateien</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Browse: {model}</source>
        <translation>Durchsuchen: {model}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Browse…</source>
        <translation>Durchsuchen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Clear</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Clear: {model}</source>
        <translation>Entfernen: {model}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Drop a file here</source>
        <translation>Datei hier ablegen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Find: {model}</source>
        <translation>Suchen: {model}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Find…</source>
        <translation>Suchen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Look for it in folders: which of their models this one was made from</source>
        <translation>In Ordnern danach suchen: aus welchem der Modelle darin dieses gemacht wurde</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Models</source>
        <translation>Modelle</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Reading…</source>
        <translation>Wird gelesen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Recent</source>
        <translation>Zuletzt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Recent files</source>
        <translation>Zuletzt verwendete Dateien</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>Recent files: {model}</source>
        <translation>Zuletzt verwendet: {model}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/models/model_card.py"/>
        <source>{count} tensors</source>
        <translation>
            <numerusform>{count} Tensor</numerusform>
            <numerusform>{count} Tensoren</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ModelsRow</name>
    <message>
        <location filename="../../app/widgets/models/models_row.py"/>
        <source>Fine-tuned model</source>
        <translation>Feinabgestimmtes Modell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/models_row.py"/>
        <source>Original model</source>
        <translation>Originalmodell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/models_row.py"/>
        <source>Swap the two models</source>
        <translation>Die beiden Modelle tauschen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/models_row.py"/>
        <source>The model it was trained from.</source>
        <translation>Das Modell, von dem das Training ausging.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/models_row.py"/>
        <source>The model that was trained: its file or its folder.</source>
        <translation>Das trainierte Modell: seine Datei oder sein Ordner.</translation>
    </message>
</context>
<context>
    <name>NewestLayers</name>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>Newest layers</source>
        <translation>Neueste Schichten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>The newest layers appear here.</source>
        <translation>Hier erscheinen die neuesten Schichten.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/layers/layer_table.py"/>
        <source>{done} of {total}</source>
        <translation>{done} von {total}</translation>
    </message>
</context>
<context>
    <name>NoticeBar</name>
    <message>
        <location filename="../../app/widgets/basics/notice_bar.py"/>
        <source>Dismiss</source>
        <translation>Schließen</translation>
    </message>
</context>
<context>
    <name>Notifier</name>
    <message>
        <location filename="../../app/system/notifications.py"/>
        <source>The LoRA is ready</source>
        <translation>Das LoRA ist fertig</translation>
    </message>
    <message>
        <location filename="../../app/system/notifications.py"/>
        <source>The LoRAs are ready</source>
        <translation>Die LoRAs sind fertig</translation>
    </message>
    <message>
        <location filename="../../app/system/notifications.py"/>
        <source>The extraction failed</source>
        <translation>Die Extraktion ist fehlgeschlagen</translation>
    </message>
    <message>
        <location filename="../../app/system/notifications.py"/>
        <source>{name}: {size}, {kept}</source>
        <translation>{name}: {size}, {kept}</translation>
    </message>
</context>
<context>
    <name>OptionsPanel</name>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Cannot be used: {titles}.</source>
        <translation>Nicht verwendbar: {titles}.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Defaults</source>
        <translation>Standardwerte</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>LoRA</source>
        <translation>LoRA</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Possible: {least} to {most}</source>
        <translation>Möglich: {least} bis {most}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Presets</source>
        <translation>Vorgaben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Rank, at most</source>
        <translation>Rang höchstens</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Settings for a purpose, in one click</source>
        <translation>Einstellungen für einen Zweck, mit einem Klick</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Style LoRAs: rank 16 to 64. Characters: 32 to 128.</source>
        <translation>Stil-LoRAs: Rang 16 bis 64. Figuren: 32 bis 128.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>fewer options</source>
        <translation>weniger Optionen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>more options</source>
        <translation>mehr Optionen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>presets</source>
        <translation>Vorgaben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>rank {ranks}, for {programs}</source>
        <translation>Rang {ranks}, für {programs}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>{files}: {what}</source>
        <translation>{files}: {what}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>{program} does not load fp8.</source>
        <translation>{program} lädt kein fp8.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>{sizes}, for {programs}</source>
        <translation>{sizes}, für {programs}</translation>
    </message>
</context>
<context>
    <name>PairCard</name>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>Comparing…</source>
        <translation>Wird verglichen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>Matching the layers of the two models.</source>
        <translation>Die Schichten der beiden Modelle werden zugeordnet.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>No pair yet</source>
        <translation>Noch kein Paar</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>One of the models cannot be used.</source>
        <translation>Eines der Modelle ist nicht verwendbar.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>Swap the two models, which may be the wrong way round?</source>
        <translation>Die beiden Modelle tauschen, die vielleicht vertauscht sind?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>Swap?</source>
        <translation>Tauschen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>The pair</source>
        <translation>Das Paar</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>What the two models have in common appears here.</source>
        <translation>Hier erscheint, was beide Modelle gemeinsam haben.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>Why are layers left out?</source>
        <translation>Warum werden Schichten weggelassen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>why?</source>
        <translation>warum?</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>{count} layers match</source>
        <translation>
            <numerusform>{count} Schicht passt zusammen</numerusform>
            <numerusform>{count} Schichten passen zusammen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>{count} layers will be extracted</source>
        <translation>
            <numerusform>{count} Schicht wird extrahiert</numerusform>
            <numerusform>{count} Schichten werden extrahiert</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>{count} left out</source>
        <translation>
            <numerusform>{count} weggelassen</numerusform>
            <numerusform>{count} weggelassen</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>{headline}, {left_out}</source>
        <translation>{headline}, {left_out}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>⚠ No LoRA from these</source>
        <translation>⚠ Daraus wird kein LoRA</translation>
    </message>
    <message>
        <location filename="../../app/widgets/models/pair_card.py"/>
        <source>⚠ {text}</source>
        <translation>⚠ {text}</translation>
    </message>
</context>
<context>
    <name>ProfileBar</name>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Delete profile</source>
        <translation>Profil löschen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Delete the profile “{name}”?</source>
        <translation>Profil „{name}“ löschen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Delete…</source>
        <translation>Löschen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Export profile</source>
        <translation>Profil exportieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Export…</source>
        <translation>Exportieren…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Hardware profile</source>
        <translation>Hardware-Profil</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Hardware profiles</source>
        <translation>Hardware-Profile</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Import profile</source>
        <translation>Profil importieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Import…</source>
        <translation>Importieren…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Manage hardware profiles</source>
        <translation>Hardware-Profile verwalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>My profile</source>
        <translation>Mein Profil</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Profile</source>
        <translation>Profil</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Profiles</source>
        <translation>Profile</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Rename profile</source>
        <translation>Profil umbenennen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Rename…</source>
        <translation>Umbenennen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Replace it?</source>
        <translation>Ersetzen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Reset to profile</source>
        <translation>Auf Profil zurücksetzen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Save</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Save as…</source>
        <translation>Speichern unter…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Save profile as</source>
        <translation>Profil speichern unter</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>Settings for a kind of machine</source>
        <translation>Einstellungen für eine Art von Rechner</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>manage</source>
        <translation>verwalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/profile_bar.py"/>
        <source>✱ changed since it was chosen</source>
        <translation>✱ seit der Auswahl geändert</translation>
    </message>
</context>
<context>
    <name>QualityPanel</name>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>After a run, read here how much of the change the LoRA keeps.</source>
        <translation>Nach einem Lauf steht hier, wie viel der Änderung das LoRA erhält.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>Quality</source>
        <translation>Qualität</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>Try this rank below.</source>
        <translation>Diesen Rang unten probieren.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>{mark} {text}</source>
        <translation>{mark} {text}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>{name}: {text}</source>
        <translation>{name}: {text}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>{share} on average</source>
        <translation>{share} im Mittel</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/quality_panel.py"/>
        <source>{share} on average of what was compared</source>
        <translation>im Mittel {share} des Verglichenen</translation>
    </message>
</context>
<context>
    <name>QueueActions</name>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Clear finished</source>
        <translation>Fertige entfernen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Copy error details</source>
        <translation>Fehlerdetails kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Duplicate</source>
        <translation>Duplizieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Load into the window</source>
        <translation>Ins Fenster laden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Move down</source>
        <translation>Nach unten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Move up</source>
        <translation>Nach oben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Open folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Run again</source>
        <translation>Noch einmal ausführen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>Take the jobs that are done out of the list; their files stay</source>
        <translation>Fertige Aufträge aus der Liste nehmen; ihre Dateien bleiben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/actions.py"/>
        <source>What can be done with the chosen jobs</source>
        <translation>Was sich mit den gewählten Aufträgen tun lässt</translation>
    </message>
</context>
<context>
    <name>QueueList</name>
    <message>
        <location filename="../../app/widgets/queue/list.py"/>
        <source>Jobs of the queue</source>
        <translation>Aufträge der Warteschlange</translation>
    </message>
</context>
<context>
    <name>QueuePanel</name>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Add current</source>
        <translation>Aktuelles hinzufügen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Add the two models and the settings that the window shows now</source>
        <translation>Die beiden Modelle und die Einstellungen hinzufügen, die das Fenster jetzt zeigt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Choose two models and their settings in this window and add them here. Then change them and add the next: another pair, or the same one at another rank. Run all works through the list; a job that fails does not stop the others. The list is still here after a restart.</source>
        <translation>Zwei Modelle und ihre Einstellungen in diesem Fenster wählen und hier hinzufügen. Dann ändern und das Nächste hinzufügen: ein anderes Paar oder dasselbe mit anderem Rang. „Alle ausführen“ arbeitet die Liste ab; ein fehlgeschlagener Auftrag hält die anderen nicht auf. Auch nach einem Neustart ist die Liste noch da.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Choose two models first.</source>
        <translation>Zuerst zwei Modelle wählen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Clear finished</source>
        <translation>Fertige entfernen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Copy details</source>
        <translation>Details kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Duplicate</source>
        <translation>Duplizieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Keep going</source>
        <translation>Weitermachen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Load into the window</source>
        <translation>Ins Fenster laden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>No job is waiting; “Run again” lets one wait.</source>
        <translation>Kein Auftrag wartet; „Noch einmal ausführen“ stellt einen an.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Open folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Queue</source>
        <translation>Warteschlange</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Run again</source>
        <translation>Noch einmal ausführen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Run all</source>
        <translation>Alle ausführen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Several extractions, one after the other</source>
        <translation>Mehrere Extraktionen nacheinander</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Skip this job</source>
        <translation>Auftrag überspringen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Stop</source>
        <translation>Stoppen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Stop the queue</source>
        <translation>Warteschlange stoppen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Stop the queue?</source>
        <translation>Warteschlange stoppen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Stop the running job and go on with the next one; its finished layers are kept</source>
        <translation>Den laufenden Auftrag stoppen und mit dem nächsten weitermachen; seine fertigen Schichten bleiben erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>The layer being worked on is finished first. Finished layers are kept, and the next run goes on there.</source>
        <translation>Die laufende Schicht wird noch fertig. Fertige Schichten bleiben erhalten, und der nächste Lauf macht dort weiter.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>The layer being worked on is finished first. The running job starts anew the next time.</source>
        <translation>Die laufende Schicht wird noch fertig. Der laufende Auftrag beginnt beim nächsten Mal neu.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/panel.py"/>
        <source>Undo the removal</source>
        <translation>Entfernen rückgängig machen</translation>
    </message>
</context>
<context>
    <name>RankButton</name>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>A rank to begin with, usual for LoRAs of these models. Nothing changes the rank by itself.</source>
        <translation>Ein Rang für den Anfang, üblich für LoRAs dieser Modelle. Nichts ändert den Rang von selbst.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Use the recommended rank</source>
        <translation>Empfohlenen Rang verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>recommended for {family}: {rank}</source>
        <translation>empfohlen für {family}: {rank}</translation>
    </message>
</context>
<context>
    <name>RecommendedNote</name>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Use the recommended adaptive value</source>
        <translation>Empfohlenen adaptiven Wert verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>Usual: {low} to {high}</source>
        <translation>Üblich: {low} bis {high}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>use {value}</source>
        <translation>{value} nehmen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/lora_panel.py"/>
        <source>⚠ {value} is unusual for this type; {low} to {high} is usual.</source>
        <translation>⚠ {value} ist für diesen Typ unüblich; üblich ist {low} bis {high}.</translation>
    </message>
</context>
<context>
    <name>RunLog</name>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>Batch {number} took {time}</source>
        <translation>Batch {number} dauerte {time}</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>Extracting {layers} on {device}; {left_out} left out; writing {name}</source>
        <translation>{layers} werden extrahiert auf {device}; {left_out} weggelassen; geschrieben wird {name}</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>It {kept}; {time}</source>
        <translation>Das LoRA {kept}; {time}</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>Wrote {path} ({size})</source>
        <translation>Geschrieben: {path} ({size})</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>rank {rank}</source>
        <translation>Rang {rank}</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>whole</source>
        <translation>ganz</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>{kept} of {layers} came from earlier runs</source>
        <translation>{kept} von {layers} stammen aus früheren Läufen</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>{layers} asked for more than the highest rank allowed</source>
        <translation>{layers} hätten mehr als den höchsten erlaubten Rang gebraucht</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>{name} is left out: {reason}</source>
        <translation>{name} wird weggelassen: {reason}</translation>
    </message>
    <message>
        <location filename="../../app/text/log_lines.py"/>
        <source>{name}: {rank}, {kept} kept, {time}</source>
        <translation>{name}: {rank}, {kept} erhalten, {time}</translation>
    </message>
</context>
<context>
    <name>SettingsDialog</name>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>As the system</source>
        <translation>Wie das System</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Browse for the output folder</source>
        <translation>Ausgabeordner suchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Browse…</source>
        <translation>Durchsuchen…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Can be changed when the extraction has ended.</source>
        <translation>Lässt sich ändern, sobald die Extraktion beendet ist.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Choose one of the list, or cuda:0,cuda:1 for several.</source>
        <translation>Eines aus der Liste wählen, oder cuda:0,cuda:1 für mehrere.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Computing</source>
        <translation>Berechnung</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Empty for the usual folder.</source>
        <translation>Leer für den üblichen Ordner.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>General</source>
        <translation>Allgemein</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Nothing can be written to {folder}.</source>
        <translation>In {folder} kann nichts geschrieben werden.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Notification</source>
        <translation>Benachrichtigung</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>On the desktop, while another window is in front.</source>
        <translation>Auf dem Desktop, während ein anderes Fenster vorn ist.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Open files in the window that is there already</source>
        <translation>Dateien im bereits offenen Fenster öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Otherwise every start has a window of its own.</source>
        <translation>Sonst hat jeder Start sein eigenes Fenster.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Output folder</source>
        <translation>Ausgabeordner</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Save</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Second start</source>
        <translation>Zweiter Start</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Takes effect at the next start.</source>
        <translation>Wirkt ab dem nächsten Start.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Tell me when an extraction ends</source>
        <translation>Das Ende einer Extraktion melden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Theme</source>
        <translation>Design</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>This cannot be a folder's path.</source>
        <translation>Das kann kein Ordnerpfad sein.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>This drive is not there.</source>
        <translation>Dieses Laufwerk ist nicht da.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Write a size such as 8 GiB, or nothing.</source>
        <translation>Eine Größe wie 8 GiB eingeben, oder nichts.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>Write the whole path, from the drive or the root on.</source>
        <translation>Den ganzen Pfad eingeben, ab dem Laufwerk oder der Wurzel.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>also under Hardware, and part of a saved profile</source>
        <translation>auch unter Hardware, und Teil eines gespeicherten Profils</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>automatic</source>
        <translation>automatisch</translation>
    </message>
    <message>
        <location filename="../../app/widgets/settings/settings_dialog.py"/>
        <source>{file} is a file and not a folder.</source>
        <translation>{file} ist eine Datei und kein Ordner.</translation>
    </message>
</context>
<context>
    <name>ShortcutsDialog</name>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Keyboard shortcuts</source>
        <translation>Tastenkürzel</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Tab moves through all controls; arrow keys move sliders and open lists.</source>
        <translation>Tab führt durch alle Bedienelemente; Pfeiltasten bewegen Regler und öffnen Listen.</translation>
    </message>
</context>
<context>
    <name>SpectrumPanel</name>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Change kept</source>
        <translation>Änderung erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Choose a layer in the table or in the change map to see its singular values.</source>
        <translation>Eine Schicht in der Tabelle oder der Änderungskarte wählen, um ihre Singulärwerte zu sehen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>How much of the change each rank would keep</source>
        <translation>Wie viel der Änderung jeder Rang erhielte</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Log scale</source>
        <translation>Logarithmisch</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Plot of singular values by index</source>
        <translation>Diagramm der Singulärwerte nach Nummer</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Singular values</source>
        <translation>Singulärwerte</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Singular values of the change, the largest first</source>
        <translation>Singulärwerte der Änderung, die größten zuerst</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>Spectrum</source>
        <translation>Spektrum</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>The chosen layers are stored whole: they have no spectrum and no cut.</source>
        <translation>Die gewählten Schichten sind ganz gespeichert: Sie haben kein Spektrum und keinen Schnitt.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>The difference itself is stored for this layer: no rank, no spectrum, no cut.</source>
        <translation>Von dieser Schicht ist die Differenz selbst gespeichert: kein Rang, kein Spektrum, kein Schnitt.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>The same on a logarithmic scale</source>
        <translation>Dasselbe auf logarithmischer Skala</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>The singular values of this layer were not kept.</source>
        <translation>Die Singulärwerte dieser Schicht wurden nicht behalten.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>What the curve shows</source>
        <translation>Was die Kurve zeigt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>each as a share of its largest</source>
        <translation>jeweils als Anteil am größten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>the first {shown} of {chosen}</source>
        <translation>die ersten {shown} von {chosen}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>{count} more have none</source>
        <translation>
            <numerusform>{count} weitere hat keines</numerusform>
            <numerusform>{count} weitere haben keines</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>{known} of {full} values known</source>
        <translation>{known} von {full} Werten bekannt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>{layer} {kept}</source>
        <translation>{layer} {kept}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/panel.py"/>
        <source>{layer}: rank {rank} keeps {kept}</source>
        <translation>{layer}: Rang {rank} erhält {kept}</translation>
    </message>
</context>
<context>
    <name>SpectrumPlot</name>
    <message>
        <location filename="../../app/widgets/spectrum/plot.py"/>
        <source>rank {rank} keeps {kept}</source>
        <translation>Rang {rank} erhält {kept}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/plot.py"/>
        <source>{layer}: only the first {known} of {full} values were computed</source>
        <translation>{layer}: nur die ersten {known} von {full} Werten wurden berechnet</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/plot.py"/>
        <source>{layer}: value {rank} is {value}, rank {rank} keeps {kept}</source>
        <translation>{layer}: Wert {rank} ist {value}, Rang {rank} erhält {kept}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/spectrum/plot.py"/>
        <source>{percent} %</source>
        <translation>{percent} %</translation>
    </message>
</context>
<context>
    <name>ViewStack</name>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Welcome</source>
        <translation>Willkommen</translation>
    </message>
</context>
<context>
    <name>ViewTabs</name>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Layers</source>
        <translation>Schichten</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Log</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Log ⚠</source>
        <translation>Protokoll ⚠</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Memory &amp;&amp; time</source>
        <translation>Speicher &amp;&amp; Zeit</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Queue</source>
        <translation>Warteschlange</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Result</source>
        <translation>Ergebnis</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Views of the run</source>
        <translation>Ansichten des Laufs</translation>
    </message>
</context>
<context>
    <name>WelcomeCard</name>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>A small pair of models comes with the program; takes a minute.</source>
        <translation>Ein kleines Modellpaar wird mitgeliefert; dauert eine Minute.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Choose another</source>
        <translation>Anderes wählen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Choose another hardware profile</source>
        <translation>Anderes Hardware-Profil wählen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Do not show this any more</source>
        <translation>Nicht mehr anzeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Drop the fine-tuned model and the model it was trained from anywhere in this window, then press Extract. Both files stay as they are.</source>
        <translation>Das feinabgestimmte Modell und sein Original irgendwo in diesem Fenster ablegen, dann „Extrahieren“ drücken. Beide Dateien bleiben unverändert.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Hardware profiles</source>
        <translation>Hardware-Profile</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>It suits the {device} with {size}: as fast as its memory allows.</source>
        <translation>Es passt zu {device} mit {size}: so schnell, wie der Speicher es erlaubt.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Looking at this computer…</source>
        <translation>Dieser Rechner wird untersucht…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Make a LoRA from two models</source>
        <translation>Aus zwei Modellen ein LoRA machen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>No graphics card is in use: the processor computes, with {size} to work in. It takes longer.</source>
        <translation>Keine Grafikkarte in Gebrauch: Der Prozessor rechnet, mit {size} Arbeitsspeicher. Das dauert länger.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Read the guide</source>
        <translation>Anleitung lesen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Suggested hardware profile</source>
        <translation>Vorgeschlagenes Hardware-Profil</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Try it with the demo</source>
        <translation>Demo ausprobieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Use it</source>
        <translation>Verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>Use the suggested hardware profile</source>
        <translation>Vorgeschlagenes Hardware-Profil verwenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/help/welcome.py"/>
        <source>✓ {profile} is in use</source>
        <translation>✓ {profile} wird verwendet</translation>
    </message>
</context>
<context>
    <name>WindowCommands</name>
    <message>
        <location filename="../../app/window/commands.py"/>
        <source>Output folder</source>
        <translation>Ausgabeordner</translation>
    </message>
</context>
<context>
    <name>WindowDevice</name>
    <message>
        <location filename="../../app/window/device_presenter.py"/>
        <source>Freed {size} that was kept on the device for a next extraction</source>
        <translation>{size} freigegeben, die für eine nächste Extraktion auf dem Gerät lagen</translation>
    </message>
    <message>
        <location filename="../../app/window/device_presenter.py"/>
        <source>What is kept on the device could not be freed</source>
        <translation>Was auf dem Gerät liegt, ließ sich nicht freigeben</translation>
    </message>
</context>
<context>
    <name>WindowFiles</name>
    <message>
        <location filename="../../app/window/dropped_files.py"/>
        <source>No model files: {names}</source>
        <translation>Keine Modelldateien: {names}</translation>
    </message>
    <message>
        <location filename="../../app/window/dropped_files.py"/>
        <source>Not opened while a run goes on: {names}</source>
        <translation>Während eines Laufs nicht geöffnet: {names}</translation>
    </message>
</context>
<context>
    <name>WindowFrame</name>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Models, settings and views</source>
        <translation>Modelle, Einstellungen und Ansichten</translation>
    </message>
    <message>
        <location filename="../../app/window/frame.py"/>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
</context>
<context>
    <name>WindowQueue</name>
    <message>
        <location filename="../../app/window/queue_presenter.py"/>
        <source>The queue is done</source>
        <translation>Die Warteschlange ist abgearbeitet</translation>
    </message>
    <message>
        <location filename="../../app/window/queue_presenter.py"/>
        <source>{name}: {message} {remedy}</source>
        <translation>{name}: {message} {remedy}</translation>
    </message>
</context>
<context>
    <name>WindowReport</name>
    <message>
        <location filename="../../app/window/report_presenter.py"/>
        <source>The last time the program was ended from outside.</source>
        <translation>Das Programm wurde zuletzt von außen beendet.</translation>
    </message>
</context>
<context>
    <name>WindowRun</name>
    <message>
        <location filename="../../app/window/run_presenter.py"/>
        <source>Stopped; no LoRA was written, the finished layers are kept</source>
        <translation>Gestoppt; es wurde kein LoRA geschrieben, die fertigen Schichten bleiben erhalten</translation>
    </message>
    <message>
        <location filename="../../app/window/run_presenter.py"/>
        <source>Stopped; nothing was written</source>
        <translation>Gestoppt; es wurde nichts geschrieben</translation>
    </message>
</context>
<context>
    <name>WindowSession</name>
    <message>
        <location filename="../../app/window/session_restore.py"/>
        <source>The profile “{name}” has values that are not allowed and was left out.</source>
        <translation>Das Profil „{name}“ hat unzulässige Werte und wurde weggelassen.</translation>
    </message>
    <message>
        <location filename="../../app/window/session_restore.py"/>
        <source>The session could not be saved: {error}</source>
        <translation>Die Sitzung konnte nicht gespeichert werden: {error}</translation>
    </message>
    <message>
        <location filename="../../app/window/session_restore.py"/>
        <source>{file} cannot be read. It is left as it is and not used.</source>
        <translation>{file} ist nicht lesbar. Die Datei bleibt unverändert und wird nicht verwendet.</translation>
    </message>
    <message>
        <location filename="../../app/window/session_restore.py"/>
        <source>{file} was damaged. It was set aside as {aside}; everything starts with its defaults.</source>
        <translation>{file} war beschädigt und liegt nun als {aside} beiseite; alles beginnt mit den Standardwerten.</translation>
    </message>
    <message>
        <location filename="../../app/window/session_restore.py"/>
        <source>{file} was written by a newer version of this program. It is left as it is and not used.</source>
        <translation>{file} stammt von einer neueren Version dieses Programms. Die Datei bleibt unverändert und wird nicht verwendet.</translation>
    </message>
</context>
<context>
    <name>WindowSettings</name>
    <message>
        <location filename="../../app/window/settings_presenter.py"/>
        <source>The settings could not be saved: {error}</source>
        <translation>Die Einstellungen konnten nicht gespeichert werden: {error}</translation>
    </message>
</context>
<context>
    <name>WindowVerify</name>
    <message>
        <location filename="../../app/window/verify_presenter.py"/>
        <source>LoRA (*.safetensors)</source>
        <translation>LoRA (*.safetensors)</translation>
    </message>
    <message>
        <location filename="../../app/window/verify_presenter.py"/>
        <source>Verify a LoRA against the two models</source>
        <translation>LoRA an den beiden Modellen prüfen</translation>
    </message>
    <message>
        <location filename="../../app/window/verify_presenter.py"/>
        <source>not verified</source>
        <translation>nicht geprüft</translation>
    </message>
</context>
<context>
    <name>choices</name>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>All layers get nearly the same rank.</source>
        <translation>Alle Schichten bekommen fast denselben Rang.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Both are compared as they are stored.</source>
        <translation>Beide werden verglichen, wie sie gespeichert sind.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Each layer gets the smallest rank that keeps this part of the norm of its change.</source>
        <translation>Jede Schicht bekommt den kleinsten Rang, der diesen Teil der Norm ihrer Änderung erhält.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Each layer gets the smallest rank that keeps this share of its singular values' squares.</source>
        <translation>Jede Schicht bekommt den kleinsten Rang, der diesen Anteil der Quadrate ihrer Singulärwerte erhält.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Each layer keeps the singular values that are larger than rounding alone could make them. There is no value to choose.</source>
        <translation>Jede Schicht behält die Singulärwerte, die größer sind, als Runden allein sie machen könnte. Es ist kein Wert zu wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Each layer keeps the singular values that are larger than this part of its largest one.</source>
        <translation>Jede Schicht behält die Singulärwerte, die größer sind als dieser Teil ihres größten.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Each layer keeps this part of the sum of its singular values.</source>
        <translation>Jede Schicht behält diesen Teil der Summe ihrer Singulärwerte.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Every layer has the same rank. What nearly all LoRAs are.</source>
        <translation>Alle Schichten haben denselben Rang. So sind fast alle LoRAs.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Faster and approximate; the iterations bound its error.</source>
        <translation>Schneller und genähert; die Iterationen begrenzen den Fehler.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Four bytes a number: twice the file for digits that rarely matter.</source>
        <translation>Vier Bytes je Zahl: die doppelte Datei für Stellen, auf die es selten ankommt.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Higher ranks where a byte keeps the most of the change.</source>
        <translation>Höhere Ränge, wo ein Byte am meisten von der Änderung erhält.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Layers that changed most beside their own weight get higher ranks.</source>
        <translation>Schichten, die sich gemessen an ihrem Gewicht am meisten geändert haben, bekommen höhere Ränge.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>One byte a number: half the file of fp16, or twice the rank in the same file. Only programs that cast it can load it, such as ComfyUI and Forge.</source>
        <translation>Ein Byte je Zahl: die halbe Datei von fp16, oder der doppelte Rang in derselben Datei. Nur Programme, die es umwandeln, können es laden, etwa ComfyUI und Forge.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>The best possible answer at the rank, to working precision.</source>
        <translation>Die bestmögliche Antwort bei diesem Rang, auf Rechengenauigkeit.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>The file is at most as large as you say; ranks are chosen so that it is nearly that.</source>
        <translation>Die Datei ist höchstens so groß wie angegeben; die Ränge werden so gewählt, dass sie es beinahe ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>The side that is stored more finely is rounded as the other one.</source>
        <translation>Die feiner gespeicherte Seite wird wie die andere gerundet.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>The whole difference of every layer: loses nothing but rounding, and is as large as the model.</source>
        <translation>Die ganze Differenz jeder Schicht: verliert nichts als Rundung und ist so groß wie das Modell.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Two bytes a number, with a wider range and fewer digits than fp16.</source>
        <translation>Zwei Bytes je Zahl, mit größerem Bereich und weniger Stellen als fp16.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Two bytes a number. Suits nearly everything.</source>
        <translation>Zwei Bytes je Zahl. Passt fast immer.</translation>
    </message>
    <message>
        <location filename="../../app/text/choices.py"/>
        <source>Where the fine-tuned model is stored more coarsely.</source>
        <translation>Wo das feinabgestimmte Modell gröber gespeichert ist.</translation>
    </message>
</context>
<context>
    <name>counted</name>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} blocks</source>
        <translation>
            <numerusform>{count} Block</numerusform>
            <numerusform>{count} Blöcke</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} jobs</source>
        <translation>
            <numerusform>{count} Auftrag</numerusform>
            <numerusform>{count} Aufträge</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} layers</source>
        <translation>
            <numerusform>{count} Schicht</numerusform>
            <numerusform>{count} Schichten</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} more layers</source>
        <translation>
            <numerusform>{count} weitere Schicht</numerusform>
            <numerusform>{count} weitere Schichten</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} tensors</source>
        <translation>
            <numerusform>{count} Tensor</numerusform>
            <numerusform>{count} Tensoren</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} weights</source>
        <translation>
            <numerusform>{count} Gewicht</numerusform>
            <numerusform>{count} Gewichte</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>demo</name>
    <message>
        <location filename="../../app/demo/pair.py"/>
        <source>Digits drawn with the same seeds</source>
        <translation>Ziffern mit denselben Seeds</translation>
    </message>
    <message>
        <location filename="../../app/demo/pair.py"/>
        <source>Fine-tuned</source>
        <translation>Feinabgestimmt</translation>
    </message>
    <message>
        <location filename="../../app/demo/pair.py"/>
        <source>Original</source>
        <translation>Original</translation>
    </message>
    <message>
        <location filename="../../app/demo/pair.py"/>
        <source>Original + LoRA</source>
        <translation>Original + LoRA</translation>
    </message>
    <message>
        <location filename="../../app/demo/pair.py"/>
        <source>loss {loss}</source>
        <translation>Verlust {loss}</translation>
    </message>
    <message>
        <location filename="../../app/demo/pair.py"/>
        <source>{share} of the fine-tune recovered by {size}</source>
        <translation>{share} der Feinabstimmung, wiedergegeben von {size}</translation>
    </message>
</context>
<context>
    <name>dialogs</name>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>An earlier run of these two models was stopped: {done} of {total} are done.</source>
        <translation>Ein früherer Lauf mit diesen beiden Modellen wurde gestoppt: {done} von {total} sind fertig.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Another model</source>
        <translation>Weiteres Modell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Continue</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Continue the extraction</source>
        <translation>Extraktion fortsetzen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Fine-tuned model</source>
        <translation>Feinabgestimmtes Modell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>It was started on {moment}.</source>
        <translation>Begonnen wurde er am {moment}.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Keep going</source>
        <translation>Weitermachen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>No LoRA is written; the finished layers are kept, and Extract continues from there.</source>
        <translation>Es wird kein LoRA geschrieben; die fertigen Schichten bleiben erhalten, und „Extrahieren“ macht dort weiter.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Nothing is written.</source>
        <translation>Es wird nichts geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Original model</source>
        <translation>Originalmodell</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Start over</source>
        <translation>Neu beginnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Stop</source>
        <translation>Stoppen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Stop the extraction</source>
        <translation>Extraktion stoppen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Stop the extraction and quit?</source>
        <translation>Extraktion stoppen und beenden?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Stop the extraction?</source>
        <translation>Extraktion stoppen?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>Stop the queue and quit?</source>
        <translation>Warteschlange anhalten und beenden?</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>The jobs stay in the queue, and “Run all” goes on with them.</source>
        <translation>Die Aufträge bleiben in der Warteschlange, und „Alle ausführen“ macht mit ihnen weiter.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>The layer being worked on is finished first.</source>
        <translation>Die laufende Schicht wird noch fertig.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>“Continue” only writes the file, “Start over” works on all of them again.</source>
        <translation>„Fortsetzen“ schreibt nur noch die Datei, „Neu beginnen“ bearbeitet alle noch einmal.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/dialogs.py"/>
        <source>“Continue” works on the others only, “Start over” on all of them again.</source>
        <translation>„Fortsetzen“ bearbeitet nur die übrigen, „Neu beginnen“ alle noch einmal.</translation>
    </message>
</context>
<context>
    <name>errors</name>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>A LoRA changes what both models have: use the fine-tuned model itself, or choose another.</source>
        <translation>Ein LoRA ändert, was beide Modelle haben: das feinabgestimmte Modell selbst verwenden oder ein anderes wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Add a name after it.</source>
        <translation>Dahinter einen Namen angeben.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>All that both models have is the same; only what the fine-tuned model has beyond the original differs, as in {tensor}.</source>
        <translation>Alles, was beide Modelle haben, ist gleich; nur was das feinabgestimmte Modell darüber hinaus hat, ist anders, etwa in {tensor}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Ask for a rank at or below the one that was computed, or extract from the two models.</source>
        <translation>Höchstens den berechneten Rang verlangen oder aus den beiden Modellen extrahieren.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Available: {available}.</source>
        <translation>Verfügbar: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Cannot write to {file}: {reason}.</source>
        <translation>In {file} kann nicht geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Change the parts, the name patterns, or the biases option.</source>
        <translation>Die Teile, die Namensmuster oder die Option für Bias-Werte ändern.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Check the file's permissions and the drive.</source>
        <translation>Die Rechte der Datei und das Laufwerk prüfen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Check the path, or whether the drive is connected.</source>
        <translation>Den Pfad prüfen, oder ob das Laufwerk angeschlossen ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a LoRA of plain factors; files of this kind cannot be judged.</source>
        <translation>Ein LoRA aus einfachen Faktoren wählen; Dateien dieser Art lassen sich nicht beurteilen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a LoRA that consists of plain factors.</source>
        <translation>Ein LoRA wählen, das aus einfachen Faktoren besteht.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose a file that was written by an extraction.</source>
        <translation>Eine Datei wählen, die bei einer Extraktion entstanden ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a file with a model's weights.</source>
        <translation>Eine Datei mit den Gewichten eines Modells wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a file with a model's weights: .safetensors, .gguf, .ckpt, .pt, .pth or .bin.</source>
        <translation>Eine Datei mit den Gewichten eines Modells wählen: .safetensors, .gguf, .ckpt, .pt, .pth oder .bin.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a file written by a profile export.</source>
        <translation>Eine Datei aus einem Profil-Export wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose a file.</source>
        <translation>Eine Datei wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <location filename="../../app/text/errors.py"/>
        <source>Choose a folder for the output.</source>
        <translation>Einen Ordner für die Ausgabe wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a folder with one model in it, or the model's file.</source>
        <translation>Einen Ordner mit genau einem Modell oder die Modelldatei selbst wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a full fine-tuned model and its original.</source>
        <translation>Ein vollständiges feinabgestimmtes Modell und sein Original wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a model's file or its index.</source>
        <translation>Die Datei eines Modells oder ihr Verzeichnis (Index) wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a rank of {limit} or less, or another program: {available}.</source>
        <translation>Einen Rang bis {limit} oder ein anderes Programm wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose a shorter one.</source>
        <translation>Einen kürzeren wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose a size of {least} or more, or fewer parts or layers.</source>
        <translation>Eine Größe von mindestens {least} oder weniger Teile oder Schichten wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another file name.</source>
        <translation>Einen anderen Dateinamen wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another fine-tuned model or another original.</source>
        <translation>Ein anderes feinabgestimmtes Modell oder ein anderes Original wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose another fine-tuned model or another original; one of them may be a copy of the other.</source>
        <translation>Ein anderes feinabgestimmtes Modell oder ein anderes Original wählen; eines kann eine Kopie des anderen sein.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <location filename="../../app/text/errors.py"/>
        <source>Choose another format: {available}.</source>
        <translation>Ein anderes Format wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose another name.</source>
        <translation>Einen anderen Namen wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another output folder, or change that folder's permissions.</source>
        <translation>Einen anderen Ausgabeordner wählen oder die Rechte jenes Ordners ändern.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <location filename="../../app/text/errors.py"/>
        <source>Choose another output folder, or change the folder's permissions.</source>
        <translation>Einen anderen Ausgabeordner wählen oder die Rechte des Ordners ändern.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another output folder, or mend the link.</source>
        <translation>Einen anderen Ausgabeordner wählen oder die Verknüpfung reparieren.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another output folder.</source>
        <translation>Einen anderen Ausgabeordner wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose another program: {available}.</source>
        <translation>Ein anderes Programm wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another type, such as standard, or another format: {available}.</source>
        <translation>Einen anderen Typ wählen, etwa standard, oder ein anderes Format: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose another type, such as standard, or another program: {available}.</source>
        <translation>Einen anderen Typ, etwa Standard, oder ein anderes Programm wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose bf16 or fp32 as the precision.</source>
        <translation>Als Genauigkeit bf16 oder fp32 wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose fp16 as the precision, or another format: {available}.</source>
        <translation>Als Genauigkeit fp16 wählen oder ein anderes Format: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose fp16 as the precision, or another type, such as standard.</source>
        <translation>Als Genauigkeit fp16 wählen oder einen anderen Typ, etwa Standard.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose fp16 as the precision.</source>
        <translation>Als Genauigkeit fp16 wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose fp16 or bf16 as the precision, or another program: {available}.</source>
        <translation>fp16 oder bf16 als Genauigkeit oder ein anderes Programm wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose one of these files.</source>
        <translation>Eine dieser Dateien wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose one of: {available}.</source>
        <translation>Eines davon wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose one of: {available}. Without a choice the first is used.</source>
        <translation>Eines von diesen wählen: {available}. Ohne Wahl wird das erste verwendet.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose the fine-tuned model in higher precision, if there is one, or another type than Adaptive, above rounding noise.</source>
        <translation>Wählen Sie das feinabgestimmte Modell in höherer Genauigkeit, falls es das gibt, oder einen anderen Typ als „Adaptiv, über dem Rundungsrauschen“.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose the original model that the fine-tuned one was made from.</source>
        <translation>Das Originalmodell wählen, aus dem das feinabgestimmte entstanden ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose the two models that the LoRA was extracted from.</source>
        <translation>Die beiden Modelle wählen, aus denen das LoRA extrahiert wurde.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Choose the type standard, or another program: {available}.</source>
        <translation>Den Typ Standard oder ein anderes Programm wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose the type standard, or no size.</source>
        <translation>Den Typ Standard oder keine Größe wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Choose versions of the two models with the same shapes and floating-point weights.</source>
        <translation>Fassungen der beiden Modelle mit gleichen Formen und Gleitkomma-Gewichten wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Close other programs, or use svd_lowrank, which needs less.</source>
        <translation>Andere Programme schließen oder svd_lowrank verwenden, das weniger braucht.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Connect the drive, or choose another output folder.</source>
        <translation>Das Laufwerk anschließen oder einen anderen Ausgabeordner wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Convert it to .safetensors first.</source>
        <translation>Zuerst in .safetensors umwandeln.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Download or copy it again.</source>
        <translation>Noch einmal herunterladen oder kopieren.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Free some space or choose another output folder.</source>
        <translation>Platz schaffen oder einen anderen Ausgabeordner wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Get a version of it as .safetensors, or one from a source that you trust.</source>
        <translation>Nehmen Sie eine Fassung als .safetensors oder eine aus einer Quelle, der Sie vertrauen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Get a version of the model as .safetensors.</source>
        <translation>Nehmen Sie eine Fassung des Modells als .safetensors.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <location filename="../../app/text/errors.py"/>
        <source>Get an undamaged file, or leave such layers out with --skip-nonfinite.</source>
        <translation>Eine unbeschädigte Datei besorgen oder solche Schichten mit --skip-nonfinite weglassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Get the file again.</source>
        <translation>Laden Sie die Datei noch einmal.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Get the model from a source that you trust.</source>
        <translation>Nehmen Sie das Modell aus einer Quelle, der Sie vertrauen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Get what is missing of the model and put it into the same folder: {names}.</source>
        <translation>Laden Sie, was vom Modell fehlt, und legen Sie es in denselben Ordner: {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Give more of it: {available}.</source>
        <translation>Mehr davon angeben: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>In no layer is the change larger than what rounding to the stored numbers makes by itself.</source>
        <translation>In keiner Schicht ist die Änderung größer als das, was das Runden auf die gespeicherten Zahlen allein schon ausmacht.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>In {dtype} each layer's alpha holds the scale of its factors, and cannot be chosen.</source>
        <translation>In {dtype} trägt das Alpha jeder Schicht den Maßstab ihrer Faktoren und lässt sich nicht wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Leave out &lt; &gt; : " | ? * and names such as CON.</source>
        <translation>Ohne &lt; &gt; : " | ? * und Namen wie CON.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Leave out what follows the file's name.</source>
        <translation>Weglassen, was auf den Dateinamen folgt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Leave the alpha at auto, or choose fp16 as the precision.</source>
        <translation>Alpha auf auto lassen oder als Genauigkeit fp16 wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Load and save it as .safetensors with the program that wrote it.</source>
        <translation>Laden Sie es mit dem Programm, das es geschrieben hat, und speichern Sie es als .safetensors.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>More than one pair begins with {name}.</source>
        <translation>Mehr als ein Paar beginnt mit {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>No file in the folder {file} is a model that can be used: {names}.</source>
        <translation>Keine Datei im Ordner {file} ist ein verwendbares Modell: {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>No pair of models in the cache begins with {name}.</source>
        <translation>Kein Modellpaar im Cache beginnt mit {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>None of the {matched} matching weights is selected.</source>
        <translation>Von {matched} passenden Gewichten ist keines ausgewählt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Not all programs that read the format of {format} load factors in {dtype}.</source>
        <translation>Nicht alle Programme, die das Format von {format} lesen, laden Faktoren in {dtype}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Not enough memory for {tensor}.</source>
        <translation>Zu wenig Speicher für {tensor}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Please report it, with what the log says.</source>
        <translation>Bitte melden, mit dem Inhalt des Protokolls.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Ranks are chosen either for a size or by the type {lora_type}, not by both.</source>
        <translation>Ränge werden entweder für eine Größe gewählt oder durch den Typ {lora_type}, nicht durch beides.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Save the settings under another name.</source>
        <translation>Die Einstellungen unter einem anderen Namen speichern.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>See --help for the options and their ranges.</source>
        <translation>Optionen und ihre Bereiche stehen unter --help.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Select other parts or layers, or choose another format: {available}.</source>
        <translation>Andere Teile oder Schichten auswählen, oder ein anderes Format wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Select other parts or layers, or choose another program: {available}.</source>
        <translation>Andere Teile oder Schichten oder ein anderes Programm wählen: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Something went wrong that should not: {reason}.</source>
        <translation>Etwas ist schiefgegangen, das nicht sollte: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Start the extraction again; it works these layers out anew.</source>
        <translation>Die Extraktion neu starten; sie berechnet diese Schichten noch einmal.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The LoRA is broken; extract it again.</source>
        <translation>Das LoRA ist fehlerhaft; noch einmal extrahieren.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The LoRA is damaged or was written by a faulty program; get it again.</source>
        <translation>Das LoRA ist beschädigt oder wurde von einem fehlerhaften Programm geschrieben; neu beschaffen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The LoRA needs up to {needed} and {file} has {free} free.</source>
        <translation>Das LoRA braucht bis zu {needed}, und {file} hat {free} frei.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>The download or copy did not finish; get the file again.</source>
        <translation>Herunterladen oder Kopieren wurde nicht fertig; die Datei noch einmal besorgen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <location filename="../../app/text/errors.py"/>
        <source>The file is damaged or was written by a faulty program; get it again.</source>
        <translation>Die Datei ist beschädigt oder stammt von einem fehlerhaften Programm; noch einmal besorgen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The file name is blank.</source>
        <translation>Der Dateiname ist leer.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The file name {file} cannot be a file's name on every system.</source>
        <translation>{file} kann nicht auf jedem System ein Dateiname sein.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The file name {file} ends in a folder.</source>
        <translation>Der Dateiname {file} endet mit einem Ordner.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The file name {file} is too long.</source>
        <translation>Der Dateiname {file} ist zu lang.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The file name {file} leads out of the output folder.</source>
        <translation>Der Dateiname {file} führt aus dem Ausgabeordner hinaus.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>The format of {format} cannot be written for these models ({family}).</source>
        <translation>Das Format von {format} kann für diese Modelle nicht geschrieben werden ({family}).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The format of {format} has no names for the layers of such models ({family}).</source>
        <translation>Das Format von {format} hat keine Namen für die Schichten solcher Modelle ({family}).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The format of {format} has no place for any of the selected weights.</source>
        <translation>Das Format von {format} hat für keines der ausgewählten Gewichte einen Platz.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The format of {format} has no place for what changed: nothing that it holds has changed.</source>
        <translation>Das Format von {format} hat keinen Platz für das, was sich geändert hat: Nichts, was es aufnimmt, hat sich geändert.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The format of {format} holds factors alone, and the type full stores whole differences.</source>
        <translation>Das Format von {format} enthält nur Faktoren, und der Typ full speichert ganze Differenzen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The format of {format} names the layers of {family} otherwise than these files do.</source>
        <translation>Das Format von {format} nennt die Schichten von {family} anders als diese Dateien.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The header of {file} is broken at {tensor}: {reason}.</source>
        <translation>Der Kopf von {file} ist bei {tensor} fehlerhaft: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>The header of {file} is broken: {reason}.</source>
        <translation>Der Kopf von {file} ist fehlerhaft: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The index is damaged or was written by a faulty program; get it again.</source>
        <translation>Der Index ist beschädigt oder stammt von einem fehlerhaften Programm; laden Sie ihn noch einmal.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The output folder {file} cannot be made, because {at} does not take new folders.</source>
        <translation>Der Ausgabeordner {file} lässt sich nicht anlegen, weil {at} keine neuen Ordner annimmt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The output folder {file} cannot be made, because {at} is a file.</source>
        <translation>Der Ausgabeordner {file} lässt sich nicht anlegen, weil {at} eine Datei ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The output folder {file} cannot be made, because {at} is not there.</source>
        <translation>Der Ausgabeordner {file} lässt sich nicht anlegen, weil {at} nicht vorhanden ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The output folder {file} cannot be used, because {at} is a link that leads nowhere.</source>
        <translation>Der Ausgabeordner {file} ist nicht verwendbar, weil {at} eine Verknüpfung ins Leere ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The output folder {file} does not take new files.</source>
        <translation>Der Ausgabeordner {file} nimmt keine neuen Dateien an.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The output folder {file} is a file.</source>
        <translation>Der Ausgabeordner {file} ist eine Datei.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>The output folder {file} is one of the two models.</source>
        <translation>Der Ausgabeordner {file} ist eines der beiden Modelle.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>The saved layers in {file} cannot be used: {reason}.</source>
        <translation>Die gespeicherten Schichten in {file} sind nicht verwendbar: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The two are not parts of one model; get the model again.</source>
        <translation>Die beiden sind nicht Teile eines Modells; laden Sie das Modell noch einmal.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The two models differ by rounding alone: one is the other saved in another number format.</source>
        <translation>Die beiden Modelle unterscheiden sich nur durch Rundung: Eines ist das andere, in einem anderen Zahlenformat gespeichert.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>The two models have the same values in all {layers} selected weights.</source>
        <translation>Die beiden Modelle haben in allen {layers} ausgewählten Gewichten dieselben Werte.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>The type full stores whole differences, which are never in {dtype}.</source>
        <translation>Der Typ full speichert ganze Differenzen, und die stehen nie in {dtype}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>There are: {available}.</source>
        <translation>Vorhanden: {available}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>There is more than one model in the folder {file}: {names}.</source>
        <translation>Im Ordner {file} liegt mehr als ein Modell: {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>There is no device {device} here.</source>
        <translation>Hier gibt es kein Gerät {device}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>There is no model in the folder {file}.</source>
        <translation>Im Ordner {file} ist kein Modell.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>There is no profile named {name}.</source>
        <translation>Es gibt kein Profil namens {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>There is no space left to write to {file}. Nothing was kept of the file.</source>
        <translation>In {file} ist kein Platz mehr. Von der Datei wurde nichts behalten.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>They are different kinds of model; choose the original that the fine-tuned model was made from.</source>
        <translation>Es sind verschiedene Arten von Modellen; das Original wählen, aus dem das feinabgestimmte Modell entstanden ist.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>This file cannot be written in {dtype}.</source>
        <translation>Diese Datei lässt sich nicht in {dtype} schreiben.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>This version of LoRA Extractor knows no format {name}.</source>
        <translation>Diese Version von LoRA Extractor kennt kein Format {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>This version of LoRA Extractor knows no program {name}.</source>
        <translation>Diese Version von LoRA Extractor kennt kein Programm {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Try the other method, or leave this layer out; please report it.</source>
        <translation>Das andere Verfahren versuchen oder diese Schicht weglassen; bitte melden.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Type a name for the LoRA.</source>
        <translation>Einen Namen für das LoRA eingeben.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Unpack it, and choose the model's file.</source>
        <translation>Entpacken Sie es, und wählen Sie die Datei des Modells.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Unpack the archive, or get a version of the model as .safetensors.</source>
        <translation>Entpacken Sie das Archiv oder nehmen Sie eine Fassung des Modells als .safetensors.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Update LoRA Extractor, or export the profile again with this version.</source>
        <translation>LoRA Extractor aktualisieren oder das Profil mit dieser Version noch einmal exportieren.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Update LoRA Extractor, or use the version it was made from (fp16, bf16).</source>
        <translation>LoRA Extractor aktualisieren oder die Fassung verwenden, aus der sie entstand (fp16, bf16).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Use 1 to 80 printable characters.</source>
        <translation>1 bis 80 druckbare Zeichen verwenden.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Use a name, or a subfolder and a name; choose the place with the output folder.</source>
        <translation>Einen Namen oder Unterordner und Namen verwenden; den Ort bestimmt der Ausgabeordner.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Use a version of the model in fp32, fp16, bf16 or fp8.</source>
        <translation>Eine Fassung des Modells in fp32, fp16, bf16 oder fp8 verwenden.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>Use the model as Q2_K to Q6_K, Q4_0 to Q8_0, IQ4_NL, IQ4_XS, F16 or BF16 instead.</source>
        <translation>Das Modell stattdessen als Q2_K bis Q6_K, Q4_0 bis Q8_0, IQ4_NL, IQ4_XS, F16 oder BF16 verwenden.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Use the version it was made from (fp16, bf16), or one in fp8, int8, nvfp4, nf4 or GGUF.</source>
        <translation>Die Fassung verwenden, aus der sie entstand (fp16, bf16), oder eine in fp8, int8, nvfp4, nf4 oder GGUF.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>Wait until no other program writes to it, then start again.</source>
        <translation>Warten, bis kein anderes Programm mehr hineinschreibt, dann neu starten.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>a tensor</source>
        <translation>ein Tensor</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>the file</source>
        <translation>die Datei</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/errors.py"/>
        <source>{count} bytes</source>
        <translation>
            <numerusform>{count} Byte</numerusform>
            <numerusform>{count} Byte</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} and {other} have no weight in common (for instance {example} and {other_example}).</source>
        <translation>{file} und {other} haben kein Gewicht gemeinsam (zum Beispiel {example} und {other_example}).</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} and {other} have the same weights by name, but none can be used: {example}, {why}.</source>
        <translation>{file} und {other} haben Gewichte mit gleichen Namen, aber keines ist verwendbar: {example}, {why}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} cannot be read: {reason}.</source>
        <translation>{file} ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} changed or vanished during the run.</source>
        <translation>{file} wurde während des Laufs geändert oder ist verschwunden.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} does not belong to these models: no key such as {tensor} matches a weight.</source>
        <translation>{file} gehört nicht zu diesen Modellen: Kein Schlüssel wie {tensor} passt zu einem Gewicht.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} does not exist.</source>
        <translation>{file} gibt es nicht.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} exists and is not a hardware profile, so it is not overwritten.</source>
        <translation>{file} gibt es schon und ist kein Hardware-Profil; die Datei wird nicht überschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} has {tensor} beside a layer's factors, which this program does not know.</source>
        <translation>{file} enthält neben den Faktoren einer Schicht {tensor}; das kennt dieses Programm nicht.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds a layer both as factors and as the difference {tensor}.</source>
        <translation>{file} enthält eine Schicht sowohl als Faktoren als auch als Differenz {tensor}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds a tensor whose numbers are stored conjugated or negated.</source>
        <translation>{file} enthält einen Tensor, dessen Zahlen konjugiert oder mit umgekehrtem Vorzeichen gespeichert sind.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} holds no model {name}.</source>
        <translation>{file} enthält kein Modell {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds no tensors.</source>
        <translation>{file} enthält keine Tensoren.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds one model, and none that is called {name}.</source>
        <translation>{file} enthält ein einziges Modell, und keines namens {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} holds quantised weights: {scheme} (seen at {tensor}).</source>
        <translation>{file} enthält quantisierte Gewichte: {scheme} (zu sehen bei {tensor}).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds values that no profile can have.</source>
        <translation>{file} enthält Werte, die kein Profil haben kann.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds weights in a format that is not known here: {scheme} (seen at {tensor}).</source>
        <translation>{file} enthält Gewichte in einem hier unbekannten Format: {scheme} (gesehen bei {tensor}).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} holds weights of a type that cannot be read: {scheme} (seen at {tensor}).</source>
        <translation>{file} enthält Gewichte eines Typs, der nicht gelesen werden kann: {scheme} (zu sehen an {tensor}).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is a LoRA already, not a model.</source>
        <translation>{file} ist schon ein LoRA, kein Modell.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is a TorchScript program and no file of weights.</source>
        <translation>{file} ist ein TorchScript-Programm und keine Datei mit Gewichten.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} is a folder.</source>
        <translation>{file} ist ein Ordner.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is a pickle, but not one that torch.save wrote.</source>
        <translation>{file} ist ein Pickle, aber keines von torch.save.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is a zip archive without a model of PyTorch in it.</source>
        <translation>{file} ist ein Zip-Archiv ohne ein Modell von PyTorch darin.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} is a {container} file, which is not supported yet.</source>
        <translation>{file} ist eine {container}-Datei; das wird noch nicht unterstützt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is a {kind}, see {tensor}: what it changes is no product of two factors.</source>
        <translation>{file} ist ein {kind}, siehe {tensor}: Was es ändert, ist kein Produkt zweier Faktoren.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} is cut off: it has {actual} of at least {expected}.</source>
        <translation>{file} ist abgeschnitten: {actual} von mindestens {expected} sind da.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} is empty.</source>
        <translation>{file} ist leer.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is missing, one of {count} files that {index} names.</source>
        <translation>{file} fehlt, eine von {count} Dateien, die {index} nennt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is missing, one of {count} numbered files of a model.</source>
        <translation>{file} fehlt, eine von {count} nummerierten Dateien eines Modells.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is no index of a model: it does not say which file a tensor lies in.</source>
        <translation>{file} ist kein Index eines Modells: Darin steht nicht, in welcher Datei ein Tensor liegt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is no index of a model: it is not valid JSON.</source>
        <translation>{file} ist kein Index eines Modells: Es ist kein gültiges JSON.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is no model in a format that is known.</source>
        <translation>{file} ist kein Modell in einem bekannten Format.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} is not a LoRA.</source>
        <translation>{file} ist kein LoRA.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} is not a hardware profile.</source>
        <translation>{file} ist kein Hardware-Profil.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} lacks the other factor to {tensor}, or the two do not fit together.</source>
        <translation>{file} enthält den anderen Faktor zu {tensor} nicht, oder die beiden passen nicht zusammen.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} names {tensor} twice.</source>
        <translation>{file} nennt {tensor} zweimal.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} says that {tensor} lies in “{part}”, which is not opened: {detail}.</source>
        <translation>Nach {file} liegt {tensor} in „{part}“; das wird nicht geöffnet: {detail}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} stores {tensor} as {dtype}, which is not known here.</source>
        <translation>{file} speichert {tensor} als {dtype}; das ist hier nicht bekannt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} wants to make a {name}, which no weights need. Nothing of it was run.</source>
        <translation>{file} will {name} erzeugen; das braucht kein Modell. Nichts davon wurde ausgeführt.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{file} was chosen for both models, so there is no difference to extract.</source>
        <translation>{file} wurde für beide Modelle gewählt; es gibt keine Differenz zu extrahieren.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} was written by a newer version of LoRA Extractor.</source>
        <translation>{file} stammt von einer neueren Version von LoRA Extractor.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{file} was written on a machine that stores numbers the other way round.</source>
        <translation>{file} stammt von einem Rechner, der Zahlen in umgekehrter Folge der Bytes speichert.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{missing} of {of} layers are not in the cache at these settings.</source>
        <translation>{missing} von {of} Schichten sind mit diesen Einstellungen nicht im Cache.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{names} and {count} more</source>
        <translation>{names} und {count} weitere</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{name} already exists.</source>
        <translation>{name} gibt es schon.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{name} cannot be a profile's name.</source>
        <translation>{name} kann kein Profilname sein.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{name} cannot be as small as {size}: with rank 1 in every layer it takes {least}.</source>
        <translation>{name} kann nicht so klein sein wie {size}: Mit Rang 1 in jeder Schicht sind es {least}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{name} is a shipped profile and cannot be changed.</source>
        <translation>{name} ist ein mitgeliefertes Profil und lässt sich nicht ändern.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{part} and the index do not belong together; get both again.</source>
        <translation>{part} und der Index gehören nicht zusammen; laden Sie beide noch einmal.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{part} holds {tensor}, which {file} does not name.</source>
        <translation>{part} enthält {tensor}, das {file} nicht nennt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{program} does not load factors in fp8.</source>
        <translation>{program} lädt keine Faktoren in fp8.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{program} loads factors alone, and the type full stores whole differences.</source>
        <translation>{program} lädt nur Faktoren, und der Typ „full“ speichert ganze Differenzen.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{program} loads no LoRA for such models ({family}).</source>
        <translation>{program} lädt für solche Modelle ({family}) kein LoRA.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{program} loads none of the selected weights.</source>
        <translation>{program} lädt keines der ausgewählten Gewichte.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{program} loads nothing of what changed: nothing that it loads has changed.</source>
        <translation>{program} lädt nichts von dem, was sich geändert hat: nichts, was es lädt, ist anders.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{program} needs the same rank for the query, key and value of an attention.</source>
        <translation>{program} braucht für Query, Key und Value einer Attention denselben Rang.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{program} takes ranks up to {limit}.</source>
        <translation>{program} nimmt Ränge bis {limit}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{reason}.</source>
        <translation>{reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{tensor} could not be decomposed: {reason}.</source>
        <translation>{tensor} ließ sich nicht zerlegen: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{tensor} holds the value {value:.3g}, which does not fit {dtype}. Nothing was written.</source>
        <translation>{tensor} enthält den Wert {value:.3g}, der nicht in {dtype} passt. Es wurde nichts geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{tensor} in {file} cannot be decoded as {encoding}: {reason}.</source>
        <translation>{tensor} in {file} lässt sich nicht als {encoding} dekodieren: {reason}.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} in {file} contains NaN or infinite values, and {more}. Nothing was written.</source>
        <translation>{tensor} in {file} enthält NaN oder unendliche Werte, ebenso {more}. Es wurde nichts geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} in {file} contains NaN or infinite values.</source>
        <translation>{tensor} in {file} enthält NaN oder unendliche Werte.</translation>
    </message>
    <message>
        <location filename="../../app/text/errors.py"/>
        <source>{tensor} in {file} contains NaN or infinite values. Nothing was written.</source>
        <translation>{tensor} in {file} enthält NaN oder unendliche Werte. Es wurde nichts geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} in {file} has a shape that no factor or alpha has.</source>
        <translation>{tensor} in {file} hat eine Form, die kein Faktor und kein Alpha hat.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} in {file} has another shape than the weight it belongs to.</source>
        <translation>{tensor} in {file} hat eine andere Form als das zugehörige Gewicht.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} in {file} is a view of other numbers that cannot be read by itself.</source>
        <translation>{tensor} in {file} ist eine Sicht auf andere Zahlen, die sich nicht für sich lesen lässt.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} in {file} is compressed, which no model's file is.</source>
        <translation>{tensor} in {file} ist komprimiert; das ist keine Datei eines Modells.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} is not in {part}, where {file} says it is.</source>
        <translation>{tensor} ist nicht in {part}, wo es nach {file} sein soll.</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} lies both in {other} and in {part} ({file}).</source>
        <translation>{tensor} liegt sowohl in {other} als auch in {part} ({file}).</translation>
    </message>
    <message>
        <location filename="../../app/text/error_variants.py"/>
        <source>{tensor} lies in {part}, and {file} says that it lies in {other}.</source>
        <translation>{tensor} liegt in {part}, nach {file} aber in {other}.</translation>
    </message>
</context>
<context>
    <name>estimate</name>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>A memory budget of {needed} would be enough.</source>
        <translation>Ein Speicherbudget von {needed} würde reichen.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>A more aggressive memory use allows more.</source>
        <translation>Eine aggressivere Speichernutzung erlaubt mehr.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Close other programs, choose a smaller batch, or use svd_lowrank.</source>
        <translation>Andere Programme schließen, einen kleineren Batch wählen oder svd_lowrank verwenden.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Device memory: at most {needed} of {available}</source>
        <translation>Gerätespeicher: höchstens {needed} von {available}</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Finished layers in the cache: at most {needed}, {available} free</source>
        <translation>Fertige Schichten im Cache: höchstens {needed}, {available} frei</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Free some space for the cache.</source>
        <translation>Platz für den Cache schaffen.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Free some space or choose another output folder.</source>
        <translation>Platz schaffen oder einen anderen Ausgabeordner wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>LoRA file: at most {needed}, {available} free</source>
        <translation>LoRA-Datei: höchstens {needed}, {available} frei</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Main memory: at most {needed}, {available} free</source>
        <translation>Arbeitsspeicher: höchstens {needed}, {available} frei</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Memory: {used} used, at most {promised} promised</source>
        <translation>Speicher: {used} genutzt, höchstens {promised} zugesagt</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>No room to keep finished layers in case of a stop: {needed} needed, {available} free.</source>
        <translation>Zu wenig Platz, um fertige Schichten für den Fall eines Stopps zu behalten: {needed} nötig, {available} frei.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>The LoRA may need up to {needed} and the disk has {available} free; it is usually smaller.</source>
        <translation>Das LoRA braucht vielleicht bis zu {needed}, auf dem Datenträger sind {available} frei; meist wird es kleiner.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>The LoRA needs up to {needed} and the disk has {available} free.</source>
        <translation>Das LoRA braucht bis zu {needed}, auf dem Datenträger sind {available} frei.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>The run may need {needed} of memory and {available} are free.</source>
        <translation>Der Lauf braucht vielleicht {needed} Speicher, {available} sind frei.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Time: not known yet for this device</source>
        <translation>Zeit: für dieses Gerät noch nicht bekannt</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Time: seconds, as all layers are at hand</source>
        <translation>Zeit: Sekunden, da alle Schichten vorliegen</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>Time: {time}, for {layers}</source>
        <translation>Zeit: {time} für {layers}</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>about {count} min</source>
        <translation>etwa {count} min</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>about {count} s</source>
        <translation>etwa {count} s</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>about {hours} h</source>
        <translation>etwa {hours} h</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>about {hours} h {minutes} min</source>
        <translation>etwa {hours} h {minutes} min</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>an unknown amount</source>
        <translation>unbekannt viel</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>file: at most {size}</source>
        <translation>Datei: höchstens {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>fits: {amount}</source>
        <translation>passt: {amount}</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>longer than estimated ({time})</source>
        <translation>länger als geschätzt ({time})</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>svd_lowrank or a lower rank needs less.</source>
        <translation>svd_lowrank oder ein niedrigerer Rang braucht weniger.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>takes seconds</source>
        <translation>dauert Sekunden</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>under 5 s</source>
        <translation>unter 5 s</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{amount} memory</source>
        <translation>{amount} Speicher</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{count} files: at most {size}</source>
        <translation>{count} Dateien: höchstens {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{name} needs {needed}, more than the run's share of {available}: it is worked on alone.</source>
        <translation>{name} braucht {needed}, mehr als den Anteil des Laufs von {available}: Die Schicht wird allein bearbeitet.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{name} needs {needed}, {available} are free: the processor does it.</source>
        <translation>{name} braucht {needed}, {available} sind frei: Der Prozessor übernimmt.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{name} needs {needed}: it is worked on alone, above the memory budget of {budget}.</source>
        <translation>{name} braucht {needed}: Die Schicht wird allein bearbeitet, über dem Speicherbudget von {budget}.</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{needed} of {whole}</source>
        <translation>{needed} von {whole}</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{time} gone</source>
        <translation>{time} vergangen</translation>
    </message>
    <message>
        <location filename="../../app/text/estimates.py"/>
        <source>{time} left</source>
        <translation>noch {time}</translation>
    </message>
</context>
<context>
    <name>headline</name>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>Do these two models belong together, and is each of them complete?</source>
        <translation>Gehören diese beiden Modelle zusammen, und ist jedes vollständig?</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>Only {share} can be compared</source>
        <translation>Nur {share} vergleichbar</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>Only {share} of the parameters can be compared</source>
        <translation>Nur {share} der Parameter sind vergleichbar</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>Only {share} of the parameters were compared</source>
        <translation>Nur {share} der Parameter wurden verglichen</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>The fine-tuned model has no {part}: it is not compared.</source>
        <translation>Im feinabgestimmten Modell fehlt: {part}. Das wird nicht verglichen.</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>The original has no {part}: it is not compared.</source>
        <translation>Im Original fehlt: {part}. Das wird nicht verglichen.</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>The two models differ by no more than rounding to the stored precision does by itself, so there is nothing else to extract. If the fine-tuned model exists in higher precision, use that.</source>
        <translation>Die beiden Modelle unterscheiden sich nicht mehr, als es das Runden auf die gespeicherte Genauigkeit allein bewirkt; sonst gibt es nichts zu extrahieren. Wenn es das feinabgestimmte Modell in höherer Genauigkeit gibt, dieses nehmen.</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>VAE</source>
        <translation>VAE</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>covers only {share} of the parameters and keeps {mean} of their change</source>
        <translation>deckt nur {share} der Parameter ab und erhält {mean} ihrer Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>denoiser</source>
        <translation>Denoiser</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>keeps {mean} of the change</source>
        <translation>erhält {mean} der Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>keeps {mean} of what could be compared ({share} of the parameters)</source>
        <translation>erhält {mean} des Vergleichbaren ({share} der Parameter)</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>only {share} of the parameters compared, of those {mean} kept so far</source>
        <translation>nur {share} der Parameter verglichen, davon bisher {mean} erhalten</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>other part</source>
        <translation>anderer Teil</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>text encoder</source>
        <translation>Text-Encoder</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>text encoder {name}</source>
        <translation>Text-Encoder {name}</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{clause}, {worst} in the weakest layer</source>
        <translation>{clause}, {worst} in der schwächsten Schicht</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{clause}; {rest}</source>
        <translation>{clause}; {rest}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} new input channels</source>
        <translation>
            <numerusform>{count} neuer Eingangskanal</numerusform>
            <numerusform>{count} neue Eingangskanäle</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} new rows</source>
        <translation>
            <numerusform>{count} neue Zeile</numerusform>
            <numerusform>{count} neue Zeilen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} of {blocks} do not match: {names}.</source>
        <translation>
            <numerusform>{count} von {blocks} passt nicht: {names}.</numerusform>
            <numerusform>{count} von {blocks} passen nicht: {names}.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{count} of {of} layers changed by more than half of their weight.</source>
        <translation>{count} von {of} Schichten haben sich um mehr als die Hälfte ihres Gewichts geändert.</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} weights of the fine-tuned model have no counterpart.</source>
        <translation>
            <numerusform>{count} Gewicht des feinabgestimmten Modells hat kein Gegenstück.</numerusform>
            <numerusform>{count} Gewichte des feinabgestimmten Modells haben kein Gegenstück.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} weights of the original are larger than the fine-tuned model's</source>
        <translation>
            <numerusform>{count} Gewicht des Originals ist größer als das des feinabgestimmten Modells</numerusform>
            <numerusform>{count} Gewichte des Originals sind größer als die des feinabgestimmten Modells</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} weights of the original have no counterpart.</source>
        <translation>
            <numerusform>{count} Gewicht des Originals hat kein Gegenstück.</numerusform>
            <numerusform>{count} Gewichte des Originals haben kein Gegenstück.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} whole blocks cannot be compared</source>
        <translation>
            <numerusform>{count} ganzer Block ist nicht vergleichbar</numerusform>
            <numerusform>{count} ganze Blöcke sind nicht vergleichbar</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{count} whole blocks were not compared</source>
        <translation>
            <numerusform>{count} ganzer Block wurde nicht verglichen</numerusform>
            <numerusform>{count} ganze Blöcke wurden nicht verglichen</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{mean} of the change kept so far</source>
        <translation>bisher {mean} der Änderung erhalten</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{mean} of what is compared kept so far</source>
        <translation>bisher {mean} des Vergleichbaren erhalten</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{names} and {count} more</source>
        <translation>{names} und {count} weitere</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{noise} of the difference is rounding; of the real change the LoRA keeps {low} to {high}.</source>
        <translation>{noise} des Unterschieds sind Rundung; von der echten Änderung behält das LoRA {low} bis {high}.</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{noise} of the difference is rounding; of the real change the LoRA keeps {low} to {high}: it is judged by the lower figure.</source>
        <translation>{noise} des Unterschieds sind Rundung; von der echten Änderung behält das LoRA {low} bis {high}: Geurteilt wird nach der kleineren Zahl.</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{noise} of the difference is rounding; of the real change the LoRA keeps {low}.</source>
        <translation>{noise} des Unterschieds sind Rundung; von der echten Änderung behält das LoRA {low}.</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{others} and {last}</source>
        <translation>{others} und {last}</translation>
    </message>
    <message>
        <location filename="../../app/text/headline.py"/>
        <source>{rest} {question}</source>
        <translation>{rest} {question}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{things} are not in the file</source>
        <translation>
            <numerusform>{things} fehlt in der Datei</numerusform>
            <numerusform>{things} fehlen in der Datei</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{things} are not in the original and count as not kept.</source>
        <translation>
            <numerusform>{things} fehlt im Original und zählt als nicht erhalten.</numerusform>
            <numerusform>{things} fehlen im Original und zählen als nicht erhalten.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{things} of the original have no counterpart</source>
        <translation>
            <numerusform>{things} des Originals hat kein Gegenstück</numerusform>
            <numerusform>{things} des Originals haben kein Gegenstück</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>{weights} ({count} whole blocks)</source>
        <translation>
            <numerusform>{weights} ({count} ganzer Block)</numerusform>
            <numerusform>{weights} ({count} ganze Blöcke)</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/headline.py"/>
        <source>“New weights” among the options writes {count} of them whole.</source>
        <translation>
            <numerusform>„Neue Gewichte“ in den Optionen schreibt {count} davon ganz.</numerusform>
            <numerusform>„Neue Gewichte“ in den Optionen schreibt {count} davon ganz.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>knee</name>
    <message>
        <location filename="../../app/text/knee.py"/>
        <source>Above rank {top} only bounds are known: rank {rank} keeps {share}.</source>
        <translation>Über Rang {top} sind nur Schranken bekannt: Rang {rank} erhält {share}.</translation>
    </message>
    <message>
        <location filename="../../app/text/knee.py"/>
        <source>Rank {rank}</source>
        <translation>Rang {rank}</translation>
    </message>
    <message>
        <location filename="../../app/text/knee.py"/>
        <source>{rank} keeps about {share} in {size}; {top} adds about {more} for {bytes} more.</source>
        <translation>{rank} erhält etwa {share} in {size}; {top} fügt etwa {more} hinzu, für {bytes} mehr.</translation>
    </message>
    <message>
        <location filename="../../app/text/knee.py"/>
        <source>{rank} keeps {share} in {size}; {top} adds {more} for {bytes} more.</source>
        <translation>{rank} erhält {share} in {size}; {top} fügt {more} hinzu, für {bytes} mehr.</translation>
    </message>
</context>
<context>
    <name>language</name>
    <message>
        <location filename="../../app/text/language.py"/>
        <source>As the system</source>
        <translation>Wie das System</translation>
    </message>
</context>
<context>
    <name>left_out</name>
    <message>
        <location filename="../../app/text/left_out.py"/>
        <source>and more: {size}</source>
        <translation>und weitere: {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/left_out.py"/>
        <source>{count} billion parameters</source>
        <translation>{count} Milliarden Parameter</translation>
    </message>
    <message>
        <location filename="../../app/text/left_out.py"/>
        <source>{count} million parameters</source>
        <translation>{count} Millionen Parameter</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/left_out.py"/>
        <source>{count} parameters</source>
        <translation>
            <numerusform>{count} Parameter</numerusform>
            <numerusform>{count} Parameter</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/left_out.py"/>
        <source>{pattern}: {why} · {size}</source>
        <translation>{pattern}: {why} · {size}</translation>
    </message>
</context>
<context>
    <name>marks</name>
    <message>
        <location filename="../../app/widgets/run/memory_marks.py"/>
        <source>batch changed</source>
        <translation>Batch geändert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_marks.py"/>
        <source>offloaded</source>
        <translation>ausgelagert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/run/memory_marks.py"/>
        <source>out of memory</source>
        <translation>Speicher voll</translation>
    </message>
</context>
<context>
    <name>memory</name>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>Freed {size}: gave up {blocks}, read ahead ({cause}); what was given up is read again</source>
        <translation>{size} frei: {blocks} aufgegeben, vorausgelesen ({cause}); Aufgegebenes wird noch einmal gelesen</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>Freed {size}: offloaded {blocks} ({cause}); {kept}</source>
        <translation>{size} frei: {blocks} ausgelagert ({cause}); {kept}</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>From now on {after} at once instead of {before} ({cause})</source>
        <translation>Ab jetzt {after} zugleich statt {before} ({cause})</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>Out of memory in {name}: {step}</source>
        <translation>Speicher voll bei {name}: {step}</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>There is memory again: {after} at once instead of {before}</source>
        <translation>Es ist wieder Speicher da: {after} zugleich statt {before}</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>block {name}</source>
        <translation>Block {name}</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>blocks kept from earlier make room, then it is tried again</source>
        <translation>früher behaltene Blöcke machen Platz, dann folgt ein neuer Versuch</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>it is tried again alone</source>
        <translation>neuer Versuch allein</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>it is tried again with fewer layers beside it</source>
        <translation>neuer Versuch mit weniger Schichten daneben</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>memory limit reached</source>
        <translation>Speichergrenze erreicht</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>more than “Blocks in GPU” allows</source>
        <translation>mehr, als „Blöcke in GPU“ erlaubt</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>no block stays</source>
        <translation>kein Block bleibt</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>out of memory</source>
        <translation>Speicher voll</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>the processor works on it instead</source>
        <translation>stattdessen rechnet der Prozessor</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>this run's share is full</source>
        <translation>der Anteil dieses Laufs ist voll</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>what was read ahead makes room, then it is tried again</source>
        <translation>Vorausgelesenes macht Platz, dann folgt ein neuer Versuch</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/memory.py"/>
        <source>{blocks} ({size}) stay on the device for the next extraction</source>
        <translation>
            <numerusform>{blocks} ({size}) bleibt für die nächste Extraktion auf dem Gerät</numerusform>
            <numerusform>{blocks} ({size}) bleiben für die nächste Extraktion auf dem Gerät</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/memory.py"/>
        <source>{blocks} ({size}) stay on the device for the next extraction; {others} did not fit</source>
        <translation>
            <numerusform>{blocks} ({size}) bleibt für die nächste Extraktion auf dem Gerät; {others} passten nicht</numerusform>
            <numerusform>{blocks} ({size}) bleiben für die nächste Extraktion auf dem Gerät; {others} passten nicht</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/memory.py"/>
        <source>{blocks} stay</source>
        <translation>
            <numerusform>{blocks} bleibt</numerusform>
            <numerusform>{blocks} bleiben</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>{count} blocks: {names}</source>
        <translation>{count} Blöcke: {names}</translation>
    </message>
    <message>
        <location filename="../../app/text/memory.py"/>
        <source>{count} blocks: {names} and {more} more</source>
        <translation>{count} Blöcke: {names} und {more} weitere</translation>
    </message>
</context>
<context>
    <name>messages</name>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>A damaged journal was set aside: {file}.</source>
        <translation>Ein beschädigtes Journal wurde beiseitegelegt: {file}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>A file in fp8 takes half the bytes of one in fp16: rank {double} takes what rank {rank} takes there, and keeps more.</source>
        <translation>Eine Datei in fp8 ist halb so groß wie in fp16: Rang {double} braucht, was dort Rang {rank} braucht, und behält mehr.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>All {all_layers} come from the cache; the models are not read.</source>
        <translation>Alle {all_layers} stammen aus dem Cache; die Modelle werden nicht gelesen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>All {all_layers} come from the run of {moment} that was stopped.</source>
        <translation>Alle {all_layers} stammen aus dem gestoppten Lauf vom {moment}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>ComfyUI has no LoRA loader for this kind of model ({name}); the file is written under ComfyUI's naming rules all the same. PEFT loads such models: choose it under “For” (--for peft).</source>
        <translation>ComfyUI kann für diese Art von Modell ({name}) kein LoRA laden; die Datei wird trotzdem nach den Namensregeln von ComfyUI geschrieben. PEFT lädt solche Modelle: unter „Für“ wählen (--for peft).</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Finishing a step of {name}, up to {time}: a basis for {rows} x {columns} values.</source>
        <translation>Ein Schritt von {name} wird beendet, bis zu {time}: eine Basis für {rows} x {columns} Werte.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Finishing a step of {name}, up to {time}: eigenvalues of {rows} x {columns} values.</source>
        <translation>Ein Schritt von {name} wird beendet, bis zu {time}: Eigenwerte von {rows} x {columns} Werten.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Finishing a step of {name}, up to {time}: eigenvectors of {rows} x {columns} values.</source>
        <translation>Ein Schritt von {name} wird beendet, bis zu {time}: Eigenvektoren von {rows} x {columns} Werten.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Finishing a step of {name}, up to {time}: singular values of {rows} x {columns} values.</source>
        <translation>Ein Schritt von {name} wird beendet, bis zu {time}: Singulärwerte von {rows} x {columns} Werten.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Finishing a step of {name}, up to {time}: singular vectors of {rows} x {columns} values.</source>
        <translation>Ein Schritt von {name} wird beendet, bis zu {time}: Singulärvektoren von {rows} x {columns} Werten.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>First {layers} are decomposed, then ranks are chosen for the size, and then the file is written.</source>
        <translation>Zuerst werden {layers} zerlegt, dann die Ränge für die Größe gewählt, und dann wird die Datei geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>First {layers} are decomposed, then ranks are chosen for the size. As nothing can be kept in between, the layers are decomposed a second time for the file.</source>
        <translation>Zuerst werden {layers} zerlegt, dann die Ränge für die Größe gewählt. Da dazwischen nichts aufbewahrt werden kann, werden die Schichten für die Datei ein zweites Mal zerlegt.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Most of the difference can only be rounding.</source>
        <translation>Der größte Teil des Unterschieds kann nur Rundung sein.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Of this file for {name}, diffusers loads only the layers in blocks.</source>
        <translation>Von dieser Datei für {name} lädt diffusers nur die Schichten in Blöcken.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Of {file} the weights under {name} are used, and not those under {names}.</source>
        <translation>Aus {file} werden die Gewichte unter {name} verwendet, nicht die unter {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Ranks from {lowest} to {largest} fit the size of {name}; half of the layers have {median} or fewer.</source>
        <translation>Ränge von {lowest} bis {largest} passen in die Größe von {name}; die Hälfte der Schichten hat {median} oder weniger.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Switch on “{setting}” ({option}) to write the new part too, for {program}.</source>
        <translation>Mit „{setting}“ ({option}) wird auch der neue Teil geschrieben, für {program}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The chosen format has no way to enlarge it; the fine-tuned model itself has the new part.</source>
        <translation>Das gewählte Format kann es nicht vergrößern; das feinabgestimmte Modell selbst hat den neuen Teil.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The file may be too small to hold rank 1 of every layer: {layers} are read first, to see which ones changed.</source>
        <translation>Die Datei ist vielleicht zu klein für Rang 1 jeder Schicht: Zuerst werden {layers} gelesen, um zu sehen, welche sich geändert haben.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The fine-tuned model stores {layers} of {of} in {finetuned}, the original in {original}. That rounding cannot be repeated exactly, so the LoRA will hold it too; a fine-tuned model in a finer format would be better.</source>
        <translation>Das feinabgestimmte Modell speichert {layers} von {of} in {finetuned}, das Original in {original}. Diese Rundung lässt sich nicht genau wiederholen, also enthält das LoRA auch sie; ein feinabgestimmtes Modell in einem feineren Format wäre besser.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The fine-tuned model stores {layers} of {of} in {finetuned}, the original in {original}. They are compared as stored, so the LoRA will hold that rounding too; with “Round the original” it does not.</source>
        <translation>Das feinabgestimmte Modell speichert {layers} von {of} in {finetuned}, das Original in {original}. Verglichen wird, was gespeichert ist, also enthält das LoRA auch diese Rundung; mit „Original runden“ nicht.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The fine-tuned model stores {layers} of {of} in {finetuned}, the original in {original}: they are compared with the original rounded the same way.</source>
        <translation>Das feinabgestimmte Modell speichert {layers} von {of} in {finetuned}, das Original in {original}: Verglichen wird mit dem ebenso gerundeten Original.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The folder holds more than one model: {name} is opened, and not {names}.</source>
        <translation>Im Ordner ist mehr als ein Modell: Geöffnet ist {name}, nicht {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The format of {format} has no place for {tensors}, such as {name}: they are left out, and what changed in them counts as not kept.</source>
        <translation>Das Format von {format} hat keinen Platz für {tensors}, zum Beispiel {name}: Sie werden ausgelassen, und was sich in ihnen geändert hat, zählt als nicht erhalten.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The memory budget of {budget} is too small for {layers}; {name} needs the most, {needed}. Such layers are worked on alone, above the budget; a budget of {needed} or a lower rank would do.</source>
        <translation>Das Speicherbudget von {budget} ist zu klein für {layers}; am meisten braucht {name}: {needed}. Solche Schichten werden einzeln bearbeitet, über dem Budget; ein Budget von {needed} oder ein kleinerer Rang würde genügen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The model has more than one denoiser: {name} is used. For {names} choose that folder by itself.</source>
        <translation>Das Modell hat mehr als ein Denoiser: Verwendet wird {name}. Für {names} wählen Sie diesen Ordner allein.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The original stores {layers} of {of} in {original}, the fine-tuned model in {finetuned}. They are compared as stored, so the LoRA will undo that rounding too; an original in a finer format would need none of that.</source>
        <translation>Das Original speichert {layers} von {of} in {original}, das feinabgestimmte Modell in {finetuned}. Verglichen wird, was gespeichert ist, also macht das LoRA auch diese Rundung rückgängig; mit einem Original in einem feineren Format wäre das nicht nötig.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The original stores {layers} of {of} in {original}, the fine-tuned model in {finetuned}: they are compared with the fine-tuned model rounded the same way.</source>
        <translation>Das Original speichert {layers} von {of} in {original}, das feinabgestimmte Modell in {finetuned}: Verglichen wird mit dem ebenso gerundeten feinabgestimmten Modell.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>The rank limit of {rank} cut {layers} short; raise the rank to keep what the rule asked for.</source>
        <translation>Der Höchstrang {rank} hat {layers} gekürzt; ein höherer Rang erhält, was die Regel verlangt.</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>These two are probably not a model and its original</source>
        <translation>Diese beiden sind vermutlich kein Modell und sein Original</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>These two are probably not a model and its original: {count} of {of} layers changed by more than half of their weight.</source>
        <translation>Diese beiden sind vermutlich kein Modell und sein Original: {count} von {of} Schichten haben sich um mehr als die Hälfte ihres Gewichts geändert.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>This run keeps no journal: {reason}. What it finishes from here on is not kept if it is stopped.</source>
        <translation>Dieser Lauf führt kein Journal: {reason}. Was er ab hier fertigstellt, geht bei einem Stopp verloren.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>What was kept of {name} is damaged; it is computed again.</source>
        <translation>Was von {name} behalten wurde, ist beschädigt; es wird neu berechnet.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>a bias, norm or parameter, and those are switched off</source>
        <translation>ein Bias, eine Norm oder ein Parameter, und die sind abgeschaltet</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>a part that the original does not have</source>
        <translation>ein Teil, den das Original nicht hat</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>a second tensor for a weight that is there already</source>
        <translation>ein zweiter Tensor für ein schon vorhandenes Gewicht</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>an EMA copy of another weight</source>
        <translation>eine EMA-Kopie eines anderen Gewichts</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>belongs to a part that is not selected</source>
        <translation>gehört zu einem nicht ausgewählten Teil</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>belongs to another model in the same file</source>
        <translation>gehört zu einem anderen Modell in derselben Datei</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>changed less than the limit</source>
        <translation>weniger geändert als die Grenze</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>contains NaN or infinite values</source>
        <translation>enthält NaN oder unendliche Werte</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>diffusers loads nothing of this file for {name}.</source>
        <translation>diffusers lädt von dieser Datei für {name} nichts.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>diffusers may refuse this file for {name}.</source>
        <translation>diffusers lehnt diese Datei für {name} unter Umständen ab.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>has more dimensions than a convolution</source>
        <translation>hat mehr Dimensionen als eine Faltung</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>has no elements</source>
        <translation>hat keine Elemente</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>not a floating-point weight</source>
        <translation>kein Gleitkomma-Gewicht</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>not selected by name</source>
        <translation>nicht nach Namen ausgewählt</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>nothing in it stands out of rounding noise</source>
        <translation>nichts darin ragt aus dem Rundungsrauschen heraus</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>only in the fine-tuned model</source>
        <translation>nur im feinabgestimmten Modell</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>only in the original model</source>
        <translation>nur im Originalmodell</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>the chosen format has no place for it</source>
        <translation>das gewählte Format hat keinen Platz dafür</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>the one without a prefix</source>
        <translation>das ohne Vorsatz</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>the program that it is for does not load it</source>
        <translation>das Programm, für das die Datei ist, lädt es nicht</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>the same in both models</source>
        <translation>in beiden Modellen gleich</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>the same in both models but for rounding to {form}</source>
        <translation>bis auf die Rundung auf {form} in beiden Modellen gleich</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>the shapes differ</source>
        <translation>die Formen sind verschieden</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} bytes</source>
        <translation>
            <numerusform>{count} Byte</numerusform>
            <numerusform>{count} Byte</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} input channels of the original are not in the fine-tuned model and stay as they are</source>
        <translation>
            <numerusform>{count} Eingangskanal des Originals fehlt im feinabgestimmten Modell und bleibt, wie er ist</numerusform>
            <numerusform>{count} Eingangskanäle des Originals fehlen im feinabgestimmten Modell und bleiben, wie sie sind</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new input channels</source>
        <translation>
            <numerusform>{count} neuer Eingangskanal</numerusform>
            <numerusform>{count} neue Eingangskanäle</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new input channels are not in the file</source>
        <translation>
            <numerusform>{count} neuer Eingangskanal ist nicht in der Datei</numerusform>
            <numerusform>{count} neue Eingangskanäle sind nicht in der Datei</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new input channels are written as they are, which enlarges the weight</source>
        <translation>
            <numerusform>{count} neuer Eingangskanal wird geschrieben, wie er ist, was das Gewicht vergrößert</numerusform>
            <numerusform>{count} neue Eingangskanäle werden geschrieben, wie sie sind, was das Gewicht vergrößert</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new output channels</source>
        <translation>
            <numerusform>{count} neuer Ausgangskanal</numerusform>
            <numerusform>{count} neue Ausgangskanäle</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new output channels are not in the file</source>
        <translation>
            <numerusform>{count} neuer Ausgangskanal ist nicht in der Datei</numerusform>
            <numerusform>{count} neue Ausgangskanäle sind nicht in der Datei</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new rows</source>
        <translation>
            <numerusform>{count} neue Zeile</numerusform>
            <numerusform>{count} neue Zeilen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new rows are not in the file</source>
        <translation>
            <numerusform>{count} neue Zeile ist nicht in der Datei</numerusform>
            <numerusform>{count} neue Zeilen sind nicht in der Datei</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} new rows are written as they are, which enlarges the weight</source>
        <translation>
            <numerusform>{count} neue Zeile wird geschrieben, wie sie ist, was das Gewicht vergrößert</numerusform>
            <numerusform>{count} neue Zeilen werden geschrieben, wie sie sind, was das Gewicht vergrößert</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{count} of {all_layers} come from the cache; the others follow.</source>
        <translation>{count} von {all_layers} stammen aus dem Cache; die übrigen folgen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{count} of {all_layers} come from the run of {moment} that was stopped; the others follow.</source>
        <translation>{count} von {all_layers} stammen aus dem gestoppten Lauf vom {moment}; die übrigen folgen.</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} output channels of the original are not in the fine-tuned model and stay as they are</source>
        <translation>
            <numerusform>{count} Ausgangskanal des Originals fehlt im feinabgestimmten Modell und bleibt, wie er ist</numerusform>
            <numerusform>{count} Ausgangskanäle des Originals fehlen im feinabgestimmten Modell und bleiben, wie sie sind</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/notices.py"/>
        <source>{count} rows of the original are not in the fine-tuned model and stay as they are</source>
        <translation>
            <numerusform>{count} Zeile des Originals fehlt im feinabgestimmten Modell und bleibt, wie sie ist</numerusform>
            <numerusform>{count} Zeilen des Originals fehlen im feinabgestimmten Modell und bleiben, wie sie sind</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{day} {month} {year}, {time}</source>
        <translation>{day}. {month} {year}, {time}</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{file} holds several models: {name} is used, not {others}. On the command line {file}#{other} chooses another.</source>
        <translation>{file} enthält mehrere Modelle: {name} wird verwendet, nicht {others}. Auf der Befehlszeile wählt {file}#{other} ein anderes.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{file} holds the weights of this model only as an EMA copy ({name}): that copy is used.</source>
        <translation>{file} enthält die Gewichte dieses Modells nur als EMA-Kopie ({name}): Diese Kopie wird verwendet.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{layers} kept unclamped factors, because clamping would have cost too much.</source>
        <translation>{layers} mit unbegrenzten Faktoren, weil das Begrenzen zu viel gekostet hätte.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{layers} may get higher ranks than were computed and are decomposed again, up to rank {rank}.</source>
        <translation>{layers} bekommen vielleicht höhere Ränge, als berechnet wurden, und werden noch einmal zerlegt, bis Rang {rank}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{layers} with clamped factors came from the cache: their share of the change is a lower bound here; verify measures it.</source>
        <translation>{layers} mit begrenzten Faktoren stammen aus dem Cache: Ihr Anteil an der Änderung ist hier eine untere Schranke; eine Prüfung misst ihn.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{layers}, {name} the largest, do not fit into the memory whole and are read part by part, which takes longer.</source>
        <translation>{layers}, die größte davon {name}, passen nicht ganz in den Speicher und werden Stück für Stück gelesen, was länger dauert.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} contains NaN or infinite values ({detail}). The other layers are finished, then the run will end with an error and write nothing; stop it now and skip broken layers to get a LoRA without them.</source>
        <translation>{name} enthält NaN oder unendliche Werte ({detail}). Die übrigen Schichten werden fertig, dann endet der Lauf mit einem Fehler und schreibt nichts; für ein LoRA ohne sie jetzt stoppen und defekte Schichten überspringen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} contains NaN or infinite values and is left out.</source>
        <translation>{name} enthält NaN oder unendliche Werte und wird weggelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} is one of {files} files of a model; all of them are opened.</source>
        <translation>{name} ist eine von {files} Dateien eines Modells; alle sind geöffnet.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} is one of {files} numbered files without an index; all of them are opened as one model.</source>
        <translation>{name} ist eine von {files} nummerierten Dateien ohne Index; alle sind als ein Modell geöffnet.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} is stored in fp16: {dtype} would lose too much of it.</source>
        <translation>{name} wird in fp16 gespeichert: In {dtype} ginge zu viel verloren.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} is stored in fp32: {dtype} would lose too much of it.</source>
        <translation>{name} wird in fp32 gespeichert: In {dtype} ginge zu viel verloren.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} is stored in one of the models alone, as the other one uses its embeddings for it; it is compared with these.</source>
        <translation>{name} ist nur in einem der Modelle gespeichert, weil das andere dafür seine Einbettungen verwendet; verglichen wird mit diesen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} names parts that are not in the folder or have no weights: {names}.</source>
        <translation>{name} nennt Teile, die im Ordner fehlen oder keine Gewichte haben: {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name} was worked on by the CPU: the device had no room for it or lacks an operation.</source>
        <translation>{name} hat der Prozessor bearbeitet: Auf dem Gerät fehlte Platz oder eine Operation.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{name}: {extents}. What both models have is compared.{remedy}</source>
        <translation>{name}: {extents}. Verglichen wird, was beide Modelle haben.{remedy}</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{program} does not load {tensors} of this, such as {name}: they are left out, and what changed in them counts as not kept.</source>
        <translation>{program} lädt hiervon {tensors} nicht, etwa {name}: Sie fehlen in der Datei, und was sich in ihnen geändert hat, zählt als nicht erhalten.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{program} has no way to enlarge it; the fine-tuned model itself has the new part.</source>
        <translation>{program} kann es nicht vergrößern; das feinabgestimmte Modell selbst hat den neuen Teil.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{program} takes this file when it is started with {option}; without that its limit is {limit}.</source>
        <translation>{program} nimmt diese Datei, wenn es mit {option} gestartet wird; ohne das liegt seine Grenze bei {limit}.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{tensors} of experts, such as {name}, hold square matrices, and nothing says which side is the output; the rows are taken for it.</source>
        <translation>{tensors} von Experten, zum Beispiel {name}, enthalten quadratische Matrizen, und nichts sagt, welche Seite der Ausgang ist; die Zeilen gelten als Ausgang.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{tensors}, such as {name}, keep the rows of two projections in turns, which the other model has in tensors of their own. They are left out.</source>
        <translation>{tensors}, zum Beispiel {name}, enthalten abwechselnd die Zeilen zweier Projektionen, die im anderen Modell eigene Tensoren sind. Sie werden ausgelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{tensors}, such as {name}, may be the experts of a mixture by their shape, or convolutions; nothing says which, so they are taken for convolutions.</source>
        <translation>{tensors}, zum Beispiel {name}, können der Form nach die Experten einer Mischung sein oder Faltungen; nichts sagt, was zutrifft, deshalb gelten sie als Faltungen.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>{value} is unusual for {lora_type}: between {low} and {high} is recommended, for instance {best}.</source>
        <translation>{value} ist unüblich für {lora_type}: Empfohlen ist {low} bis {high}, zum Beispiel {best}.</translation>
    </message>
</context>
<context>
    <name>models</name>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>Tencent's names</source>
        <translation>Namen von Tencent</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>VAE</source>
        <translation>VAE</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>denoiser</source>
        <translation>Denoiser</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/models.py"/>
        <source>diffusers folders, {count} files</source>
        <translation>
            <numerusform>diffusers-Ordner, {count} Datei</numerusform>
            <numerusform>diffusers-Ordner, {count} Dateien</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>diffusers names</source>
        <translation>Namen von diffusers</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>link to {place}</source>
        <translation>Verweis auf {place}</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>other parts</source>
        <translation>andere Teile</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>text encoders</source>
        <translation>Text-Encoder</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>{container} in {count} parts</source>
        <translation>{container} in {count} Teilen</translation>
    </message>
    <message>
        <location filename="../../app/text/models.py"/>
        <source>{family} (by names only)</source>
        <translation>{family} (nur nach Namen)</translation>
    </message>
</context>
<context>
    <name>months</name>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Apr</source>
        <translation>April</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Aug</source>
        <translation>Aug.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Dec</source>
        <translation>Dez.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Feb</source>
        <translation>Feb.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Jan</source>
        <translation>Jan.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Jul</source>
        <translation>Juli</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Jun</source>
        <translation>Juni</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Mar</source>
        <translation>März</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>May</source>
        <translation>Mai</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Nov</source>
        <translation>Nov.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Oct</source>
        <translation>Okt.</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <source>Sep</source>
        <translation>Sept.</translation>
    </message>
</context>
<context>
    <name>noise</name>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>If the original had been rounded, too, all of it would be noise.</source>
        <translation>Wäre auch das Original gerundet worden, so wäre alles davon Rauschen.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>If the original had been rounded, too: {noise} noise, {real} kept.</source>
        <translation>Wäre auch das Original gerundet worden: {noise} Rauschen, {real} erhalten.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>Rounding alone accounts for {noise} of this difference: nothing in it can be told from noise.</source>
        <translation>Das Runden allein erklärt {noise} dieses Unterschieds: Nichts darin ist von Rauschen zu unterscheiden.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>Rounding noise was not measured.</source>
        <translation>Das Rundungsrauschen wurde nicht gemessen.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>Rounding was not measured here; a run with both models at hand measures it.</source>
        <translation>Das Runden wurde hier nicht gemessen; ein Lauf mit beiden Modellen misst es.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>This assumes that the fine-tune was computed in higher precision from the original as stored, and rounded once.</source>
        <translation>Angenommen ist dabei, dass das Finetuning in höherer Genauigkeit vom gespeicherten Original aus gerechnet und einmal gerundet wurde.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>all noise</source>
        <translation>nur Rauschen</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>keeps {plain} as stored, all of it rounding</source>
        <translation>erhält {plain} wie gespeichert, alles davon Rundung</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>keeps {plain} of the stored difference, in which nothing can be told from rounding</source>
        <translation>erhält {plain} des gespeicherten Unterschieds, in dem nichts von Rundung zu unterscheiden ist</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>keeps {real} of the real change ({plain} as stored, {noise} rounding)</source>
        <translation>erhält {real} der echten Änderung ({plain} wie gespeichert, {noise} Rundung)</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>keeps {real} of the real change ({plain} of the stored difference; {noise} of it is rounding)</source>
        <translation>erhält {real} der echten Änderung ({plain} des gespeicherten Unterschieds; {noise} davon sind Rundung)</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>not measured</source>
        <translation>nicht gemessen</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>{noise} noise, {real} of the real change kept</source>
        <translation>{noise} Rauschen, {real} der echten Änderung erhalten</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>{noise} of this difference is the error of storing the numbers with so few digits, not change.</source>
        <translation>{noise} dieses Unterschieds sind der Fehler, der beim Speichern der Zahlen mit so wenigen Stellen entsteht, keine Änderung.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>{real} of the real change is kept.</source>
        <translation>{real} der echten Änderung sind erhalten.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>{real} of the real change is kept; the true share is between {low} and {high}.</source>
        <translation>{real} der echten Änderung sind erhalten; der wahre Anteil liegt zwischen {low} und {high}.</translation>
    </message>
    <message>
        <location filename="../../app/text/noise.py"/>
        <source>{share} of the difference is rounding noise ({both} with the original's own); of the real change it keeps {real} ({low} to {high}).</source>
        <translation>{share} der Differenz sind Rundungsrauschen ({both} mit dem des Originals); von der echten Änderung bleiben {real} erhalten ({low} bis {high}).</translation>
    </message>
</context>
<context>
    <name>originals</name>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>Even the nearest, {name}, differs by more than half in most layers.</source>
        <translation>Selbst das nächste, {name}, weicht in den meisten Schichten um mehr als die Hälfte ab.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>It is a merge of {names}.</source>
        <translation>Es ist eine Mischung aus {names}.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>It is a model of another kind: its names or shapes do not match.</source>
        <translation>Es ist ein Modell anderer Art: Namen oder Formen passen nicht.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>Most of its numbers are infinite or not numbers.</source>
        <translation>Die meisten seiner Zahlen sind unendlich oder keine Zahlen.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>No model in these folders can be its original.</source>
        <translation>Kein Modell in diesen Ordnern kann sein Original sein.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>No other model in these folders is related to it.</source>
        <translation>Kein anderes Modell in diesen Ordnern ist mit ihm verwandt.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>None of these is its original.</source>
        <translation>Keines von diesen ist sein Original.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>Skipped: {parts}.</source>
        <translation>Übergangen: {parts}.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>That explains {share} of its distance to the nearest, {name}.</source>
        <translation>Das erklärt {share} seines Abstands zum nächsten, {name}.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>The link leads back to itself or to a folder above it.</source>
        <translation>Die Verknüpfung führt zu sich selbst oder zu einem Ordner über ihr zurück.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>The link leads nowhere.</source>
        <translation>Die Verknüpfung führt ins Leere.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>The next, {name}, is {distance} away.</source>
        <translation>Das nächste danach, {name}, ist {distance} entfernt.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>a copy of {name}, but for rounding</source>
        <translation>eine Kopie von {name}, bis auf Rundung</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>compared in {share} of the parameters</source>
        <translation>in {share} der Parameter verglichen</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>differs by its own rounding alone</source>
        <translation>weicht nur um die eigene Rundung ab</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>not related</source>
        <translation>nicht verwandt</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/original_search.py"/>
        <source>{count} models of another kind</source>
        <translation>
            <numerusform>{count} Modell anderer Art</numerusform>
            <numerusform>{count} Modelle anderer Art</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/original_search.py"/>
        <source>{count} that could not be read</source>
        <translation>
            <numerusform>{count}, das nicht gelesen werden konnte</numerusform>
            <numerusform>{count}, die nicht gelesen werden konnten</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{name} differs by no more than its own rounding: it may be a copy of the model itself.</source>
        <translation>{name} weicht um nicht mehr als die eigene Rundung ab: Es kann eine Kopie des Modells selbst sein.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{name} holds the model's own numbers and was left out.</source>
        <translation>{name} enthält die Zahlen des Modells selbst und wurde ausgelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{name} is a copy of the model and was left out.</source>
        <translation>{name} ist eine Kopie des Modells und wurde ausgelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{name} is the model in another form, but for rounding, and was left out.</source>
        <translation>{name} ist das Modell in einer anderen Form, bis auf Rundung, und wurde ausgelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{name} is the model itself and was left out.</source>
        <translation>{name} ist das Modell selbst und wurde ausgelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{name} is the nearest: {distance} away.</source>
        <translation>{name} ist am nächsten: {distance} entfernt.</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{parts} and {last}</source>
        <translation>{parts} und {last}</translation>
    </message>
    <message>
        <location filename="../../app/text/original_search.py"/>
        <source>{value} ({low} to {high})</source>
        <translation>{value} ({low} bis {high})</translation>
    </message>
</context>
<context>
    <name>outputs</name>
    <message>
        <location filename="../../app/text/outputs.py"/>
        <source>at most {size}</source>
        <translation>höchstens {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/outputs.py"/>
        <source>at most {size} together</source>
        <translation>zusammen höchstens {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/outputs.py"/>
        <source>keep {least} to {most} of the change</source>
        <translation>erhalten {least} bis {most} der Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/outputs.py"/>
        <source>rank {rank}</source>
        <translation>Rang {rank}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/outputs.py"/>
        <source>{count} files</source>
        <translation>
            <numerusform>{count} Datei</numerusform>
            <numerusform>{count} Dateien</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/outputs.py"/>
        <source>{name} and {count} more</source>
        <translation>
            <numerusform>{name} und {count} weitere</numerusform>
            <numerusform>{name} und {count} weitere</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/outputs.py"/>
        <source>{size} together</source>
        <translation>zusammen {size}</translation>
    </message>
</context>
<context>
    <name>pair</name>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Choose another model: one of these may be a copy of the other.</source>
        <translation>Ein anderes Modell wählen: Eines von diesen ist vielleicht eine Kopie des anderen.</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Looked at: all of the {of} layers, {size} of both models.</source>
        <translation>Betrachtet: alle {of} Schichten ganz, {size} von beiden Modellen.</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Looked at: some rows of {layers} of {of} layers, {size} of both models.</source>
        <translation>Betrachtet: einige Zeilen von {layers} von {of} Schichten, {size} von beiden Modellen.</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Nearly identical</source>
        <translation>Fast gleich</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Nearly identical: a change of {share} is hardly more than what rounding to the stored numbers gives. In finer numbers the two would show more of it.</source>
        <translation>Fast gleich: Eine Änderung um {share} ist kaum mehr, als das Runden auf die gespeicherten Zahlen ergibt. In feineren Zahlen wäre mehr davon zu sehen.</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/pair.py"/>
        <source>Nearly identical: of {of} layers looked at only {count} differ.</source>
        <translation>
            <numerusform>Fast gleich: Von {of} betrachteten Schichten unterscheidet sich nur {count}.</numerusform>
            <numerusform>Fast gleich: Von {of} betrachteten Schichten unterscheiden sich nur {count}.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>No difference found</source>
        <translation>Kein Unterschied gefunden</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>No difference found between the two models</source>
        <translation>Kein Unterschied zwischen den beiden Modellen gefunden</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Probably unrelated</source>
        <translation>Wohl nicht verwandt</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>The two models are nearly identical</source>
        <translation>Die beiden Modelle sind fast gleich</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>The two models are the same but for rounding: there is nothing to extract. {remedy}</source>
        <translation>Die beiden Modelle sind bis auf die Rundung gleich: Es gibt nichts zu extrahieren. {remedy}</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>The two models are the same: there is nothing to extract. {remedy}</source>
        <translation>Die beiden Modelle sind gleich: Es gibt nichts zu extrahieren. {remedy}</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>The weights changed by about {share}, as those of a model and its original do.</source>
        <translation>Die Gewichte haben sich um etwa {share} geändert, wie die eines Modells und seines Originals.</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>The wrong way round a LoRA takes the training away, with figures that look as good.</source>
        <translation>Vertauscht nimmt ein LoRA das Training weg, und seine Zahlen sehen ebenso gut aus.</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/pair.py"/>
        <source>The {count} layers looked at are the same in both models but for rounding: there is probably nothing to extract. {remedy}</source>
        <translation>
            <numerusform>Die {count} betrachtete Schicht ist bis auf die Rundung in beiden Modellen gleich: Vermutlich gibt es nichts zu extrahieren. {remedy}</numerusform>
            <numerusform>Die {count} betrachteten Schichten sind bis auf die Rundung in beiden Modellen gleich: Vermutlich gibt es nichts zu extrahieren. {remedy}</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/pair.py"/>
        <source>The {count} layers looked at are the same in both models: there is probably nothing to extract. {remedy}</source>
        <translation>
            <numerusform>Die {count} betrachtete Schicht ist in beiden Modellen gleich: Vermutlich gibt es nichts zu extrahieren. {remedy}</numerusform>
            <numerusform>Die {count} betrachteten Schichten sind in beiden Modellen gleich: Vermutlich gibt es nichts zu extrahieren. {remedy}</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>These two may be the wrong way round</source>
        <translation>Diese beiden sind vielleicht vertauscht</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>These two may be the wrong way round: {evidence}.</source>
        <translation>Diese beiden sind vielleicht vertauscht: {evidence}.</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>Wrong way round?</source>
        <translation>Vertauscht?</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>by its header {name} was made after {other}</source>
        <translation>laut Kopf der Dateien entstand {name} nach {other}</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>changed by about {share}</source>
        <translation>um etwa {share} geändert</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>changed by {share}</source>
        <translation>um {share} geändert</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>less than {share}</source>
        <translation>weniger als {share}</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>the file of {name} is newer</source>
        <translation>die Datei von {name} ist neuer</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{name} has what a trainer leaves behind ({detail}), {other} has not</source>
        <translation>{name} hat, was ein Trainingsprogramm hinterlässt ({detail}), {other} nicht</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{name} is a later step of the training than {other}</source>
        <translation>{name} ist ein späterer Schritt des Trainings als {other}</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{name} is named like a model made from {other}</source>
        <translation>{name} heißt wie ein Modell, das aus {other} gemacht ist</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{name} says that it was made from {other} ({detail})</source>
        <translation>{name} sagt, dass es aus {other} gemacht ist ({detail})</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{other} is named like an original</source>
        <translation>{other} heißt wie ein Original</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{other} is stored in wider numbers than {name}</source>
        <translation>{other} ist in breiteren Zahlen gespeichert als {name}</translation>
    </message>
    <message>
        <location filename="../../app/text/pair.py"/>
        <source>{title}: {count} of {of} layers looked at changed by more than half of their weight. “Find…” (find-original) looks for the one it was made from.</source>
        <translation>{title}: {count} von {of} betrachteten Schichten haben sich um mehr als die Hälfte ihres Gewichts geändert. „Suchen…“ (find-original) sucht das, aus dem es gemacht ist.</translation>
    </message>
</context>
<context>
    <name>profiles</name>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Balanced (12 GB)</source>
        <translation>Ausgewogen (12 GB)</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Maximum speed (24 GB+)</source>
        <translation>Höchstes Tempo (24 GB+)</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Performance (16 GB+)</source>
        <translation>Leistung (16 GB+)</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Safe (8 GB)</source>
        <translation>Sicher (8 GB)</translation>
    </message>
</context>
<context>
    <name>programs</name>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>A folder for the Python library PEFT, mostly of language models.</source>
        <translation>Ein Ordner für die Python-Bibliothek PEFT, meist für Sprachmodelle.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>A folder for the server vLLM, as PEFT writes it.</source>
        <translation>Ein Ordner für den Server vLLM, wie PEFT ihn schreibt.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>It does not load {things}: they are left out.</source>
        <translation>Nicht geladen werden {things}: Sie werden ausgelassen.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>It loads no text encoder.</source>
        <translation>Text-Encoder werden nicht geladen.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>Not for these models.</source>
        <translation>Nicht für diese Modelle.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>Not for these models: {family}.</source>
        <translation>Nicht für diese Modelle: {family}.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>Of the text encoders it loads {names}.</source>
        <translation>Von den Text-Encodern werden {names} geladen.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>Of {family} it loads the layers in blocks alone.</source>
        <translation>Von {family} werden nur die Schichten in Blöcken geladen.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>One file for AUTOMATIC1111's WebUI, under the names that Kohya's trainers use.</source>
        <translation>Eine Datei für AUTOMATIC1111s WebUI, mit den Namen der Kohya-Trainer.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>One file for ComfyUI. It can hold everything, of every kind of model.</source>
        <translation>Eine Datei für ComfyUI. Sie kann alles enthalten, von jeder Art Modell.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>One file for InvokeAI, under the names that Kohya's trainers use.</source>
        <translation>Eine Datei für InvokeAI, mit den Namen der Kohya-Trainer.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>One file for Stable Diffusion WebUI Forge.</source>
        <translation>Eine Datei für Stable Diffusion WebUI Forge.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>One file for the Python library diffusers and what is built on it.</source>
        <translation>Eine Datei für die Python-Bibliothek diffusers und was darauf aufbaut.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>One file under the names of Kohya's trainers, which go on from it; most programs read it. It holds no biases, norms and bare parameters.</source>
        <translation>Eine Datei mit den Namen der Kohya-Trainer, die damit weitermachen; die meisten Programme lesen sie. Sie enthält keine Bias-Werte, Normen und einzelnen Parameter.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>Ranks up to {rank}.</source>
        <translation>Ränge bis {rank}.</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>bare parameters</source>
        <translation>einzelne Parameter</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>biases</source>
        <translation>Bias-Werte</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>convolutions</source>
        <translation>Faltungen</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>new weights</source>
        <translation>neue Gewichte</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>norms</source>
        <translation>Normen</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>whole differences</source>
        <translation>ganze Differenzen</translation>
    </message>
    <message>
        <location filename="../../app/text/programs.py"/>
        <source>{others} and {last}</source>
        <translation>{others} und {last}</translation>
    </message>
</context>
<context>
    <name>quality_words</name>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>A larger adaptive value keeps more, in a larger file.</source>
        <translation>Ein größerer adaptiver Wert erhält mehr, in einer größeren Datei.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>A part of the change is missing, perhaps too much</source>
        <translation>Ein Teil der Änderung fehlt, vielleicht zu viel</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>A smaller adaptive value keeps more, in a larger file.</source>
        <translation>Ein kleinerer adaptiver Wert erhält mehr, in einer größeren Datei.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Above rank {rank} only bounds are known.</source>
        <translation>Über Rang {rank} sind nur Schranken bekannt.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>As large as the run's file, which keeps {share}.</source>
        <translation>So groß wie die Datei des Laufs, die {share} erhält.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Even the weakest layer keeps {share}: {layer}.</source>
        <translation>Selbst die schwächste Schicht erhält {share}: {layer}.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>It reaches beyond the ranks computed; only bounds are known.</source>
        <translation>Das geht über die berechneten Ränge hinaus; nur Schranken sind bekannt.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Keeps less than half of the change</source>
        <translation>Erhält weniger als die Hälfte der Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Keeps most of the change</source>
        <translation>Erhält den größten Teil der Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Keeps much of the change, often enough: try it</source>
        <translation>Behält viel von der Änderung, oft genug: ausprobieren</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Keeps nearly all of the change</source>
        <translation>Erhält fast die ganze Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Nothing here can be told from rounding</source>
        <translation>Nichts hiervon ist von Rundung zu unterscheiden</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>One layer keeps only {least}: {layers}.</source>
        <translation>Eine Schicht erhält nur {least}: {layers}.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Rank {rank}</source>
        <translation>Rang {rank}</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Rank {rank} cuts {layers} short.</source>
        <translation>Rang {rank} kürzt {layers}.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>Small models that were trained to find out recovered {least} to {most} % of what the fine-tune had learned with LoRAs that keep as much.</source>
        <translation>Kleine Modelle, die dafür trainiert wurden, gewannen mit LoRAs, die ebenso viel behalten, {least} bis {most} % dessen zurück, was das feinabgestimmte Modell gelernt hatte.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>The change is the difference between the two models' weights. The share says how much of it the LoRA gives back; large differences count more. It is measured on weights: how pictures compare, only pictures show.</source>
        <translation>Die Änderung ist die Differenz zwischen den Gewichten der beiden Modelle. Der Anteil sagt, wie viel davon das LoRA wiedergibt; große Differenzen zählen mehr. Gemessen wird an Gewichten: Wie Bilder sich vergleichen, zeigen nur Bilder.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>The rank limit of {limit} holds {layers} back. Try a limit of {rank}.</source>
        <translation>Der Höchstrang {limit} bremst {layers}. Einen Höchstrang von {rank} versuchen.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>The type “Adaptive, energy” gives weak layers a higher rank than the others.</source>
        <translation>Der Typ „Adaptiv, Energie“ gibt schwachen Schichten einen höheren Rang als den anderen.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>This is what the run wrote.</source>
        <translation>Das hat der Lauf geschrieben.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>about {share}</source>
        <translation>etwa {share}</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>clamping cost {layers} more than 1 %</source>
        <translation>Begrenzen kostete {layers} mehr als 1 %</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>rank {most} · {size}</source>
        <translation>Rang {most} · {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>ranks {least} to {most} · {size}</source>
        <translation>Ränge {least} bis {most} · {size}</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>rounding not measured</source>
        <translation>Rundung nicht gemessen</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{count} keep less than {share}: {layers} and {more} more.</source>
        <translation>{count} erhalten weniger als {share}: {layers} und {more} weitere.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{count} keep less than {share}: {layers}.</source>
        <translation>{count} erhalten weniger als {share}: {layers}.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{layers} cut short by the rank limit</source>
        <translation>{layers} vom Höchstrang gekürzt</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{layers} did not change</source>
        <translation>{layers} ohne Änderung</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{layers} did not change, {rounded} of them but for rounding</source>
        <translation>{layers} unverändert, {rounded} davon nur anders gerundet</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{layers} in fp32 to keep precision</source>
        <translation>{layers} in fp32, um die Genauigkeit zu erhalten</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/quality.py"/>
        <source>{layers} were not clamped: clamping would have cost too much</source>
        <translation>
            <numerusform>{layers} nicht begrenzt: Das Begrenzen hätte zu viel gekostet</numerusform>
            <numerusform>{layers} nicht begrenzt: Das Begrenzen hätte zu viel gekostet</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{layers} with broken values left out</source>
        <translation>{layers} mit defekten Werten weggelassen</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{left_out} of the change is in weights that were left out; choose more parts to keep it.</source>
        <translation>{left_out} der Änderung liegen in weggelassenen Gewichten; mehr Teile wählen, um sie zu erhalten.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{low} to {high}</source>
        <translation>{low} bis {high}</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{rank} would keep {share}, in a file of {size}.</source>
        <translation>{rank} würde {share} erhalten, in einer Datei von {size}.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{rank} would still keep {share}, in a file of only {size}.</source>
        <translation>{rank} würde noch {share} erhalten, in einer Datei von nur {size}.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{share} of the change left out</source>
        <translation>{share} der Änderung weggelassen</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{size} larger than the run's file, which keeps {share}.</source>
        <translation>{size} größer als die Datei des Laufs, die {share} erhält.</translation>
    </message>
    <message>
        <location filename="../../app/text/quality.py"/>
        <source>{size} smaller than the run's file, which keeps {share}.</source>
        <translation>{size} kleiner als die Datei des Laufs, die {share} erhält.</translation>
    </message>
</context>
<context>
    <name>queue</name>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Above rounding noise, rank up to {rank}</source>
        <translation>Über dem Rundungsrauschen, Rang bis {rank}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Done</source>
        <translation>Fertig</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Energy {value}, rank up to {rank}</source>
        <translation>Energie {value}, Rang bis {rank}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Failed</source>
        <translation>Fehlgeschlagen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Fine-tuned: {path}</source>
        <translation>Feinabgestimmt: {path}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Frobenius {value}, rank up to {rank}</source>
        <translation>Frobenius {value}, Rang bis {rank}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Full difference</source>
        <translation>Volle Differenz</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Goes on where it stopped</source>
        <translation>Macht weiter, wo gestoppt wurde</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Keeps {mean} as stored; all of it rounding</source>
        <translation>Erhält {mean} wie gespeichert; alles davon Rundung</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Keeps {mean}, weakest layer {worst}</source>
        <translation>Erhält {mean}, schwächste Schicht {worst}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Keeps {real} of the real change, {mean} as stored</source>
        <translation>Erhält {real} der echten Änderung, {mean} wie gespeichert</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Layer {layer} of {total}</source>
        <translation>Schicht {layer} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Nothing was written</source>
        <translation>Es wurde nichts geschrieben</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Original: {path}</source>
        <translation>Original: {path}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Preparing…</source>
        <translation>Wird vorbereitet…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Quantile {value}, rank up to {rank}</source>
        <translation>Quantil {value}, Rang bis {rank}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Rank {rank}</source>
        <translation>Rang {rank}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Ratio {value}, rank up to {rank}</source>
        <translation>Verhältnis {value}, Rang bis {rank}</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Removed {count} jobs.</source>
        <translation>
            <numerusform>{count} Auftrag entfernt.</numerusform>
            <numerusform>{count} Aufträge entfernt.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Running</source>
        <translation>Läuft</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Starts from the first layer</source>
        <translation>Beginnt bei der ersten Schicht</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Stopped</source>
        <translation>Gestoppt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Stopping…</source>
        <translation>Wird gestoppt…</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>The queue could not be saved; after a restart it is as it was before this change ({reason}).</source>
        <translation>Die Warteschlange konnte nicht gespeichert werden; nach einem Neustart ist sie wie vor dieser Änderung ({reason}).</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>The queue has ended: {counts}</source>
        <translation>Die Warteschlange ist beendet: {counts}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>The saved queue was damaged. It is kept as {aside}; this one starts empty.</source>
        <translation>Die gespeicherte Warteschlange war beschädigt und liegt als {aside} beiseite; diese beginnt leer.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Up to {sizes}</source>
        <translation>Bis {sizes}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Waiting</source>
        <translation>Wartet</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Was interrupted</source>
        <translation>Wurde unterbrochen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Writes to: {path}</source>
        <translation>Schreibt nach: {path}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>Wrote: {path}</source>
        <translation>Geschrieben: {path}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>for {programs}</source>
        <translation>für {programs}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>job {number} of {total}</source>
        <translation>Auftrag {number} von {total}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{count} done</source>
        <translation>{count} fertig</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{count} failed</source>
        <translation>{count} fehlgeschlagen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{count} running</source>
        <translation>{count} läuft</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{count} saved jobs were damaged and left out; the whole list is kept as {aside}.</source>
        <translation>
            <numerusform>{count} gespeicherter Auftrag war beschädigt und wurde weggelassen; die ganze Liste liegt als {aside} beiseite.</numerusform>
            <numerusform>{count} gespeicherte Aufträge waren beschädigt und wurden weggelassen; die ganze Liste liegt als {aside} beiseite.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{count} stopped</source>
        <translation>{count} gestoppt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{count} waiting</source>
        <translation>{count} wartend</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{done} of {total} layers are kept</source>
        <translation>{done} von {total} Schichten bleiben erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{file} cannot be read. It is left as it is, and this queue is not saved.</source>
        <translation>{file} ist nicht lesbar. Die Datei bleibt unverändert, und diese Warteschlange wird nicht gespeichert.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{file} was written by a newer version. It is left as it is, and this queue is not saved.</source>
        <translation>{file} stammt von einer neueren Version. Die Datei bleibt unverändert, und diese Warteschlange wird nicht gespeichert.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>{time} left</source>
        <translation>noch {time}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/queue/texts.py"/>
        <source>⚠ {text}</source>
        <translation>⚠ {text}</translation>
    </message>
</context>
<context>
    <name>rank_modes</name>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Above noise</source>
        <translation>Über dem Rauschen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Each layer gets the smallest rank that keeps this part of the norm of its change.</source>
        <translation>Jede Schicht bekommt den kleinsten Rang, der diesen Teil der Norm ihrer Änderung erhält.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Each layer gets the smallest rank that keeps this share of its change.</source>
        <translation>Jede Schicht bekommt den kleinsten Rang, der diesen Anteil ihrer Änderung erhält.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Each layer keeps the singular values above rounding noise, at most so many.</source>
        <translation>Jede Schicht behält die Singulärwerte über dem Rundungsrauschen, höchstens so viele.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Each layer keeps the singular values that are larger than this part of its largest one.</source>
        <translation>Jede Schicht behält die Singulärwerte, die größer sind als dieser Teil ihres größten.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Each layer keeps this part of the sum of its singular values.</source>
        <translation>Jede Schicht behält diesen Teil der Summe ihrer Singulärwerte.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>File size</source>
        <translation>Dateigröße</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Frobenius</source>
        <translation>Frobenius</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Kept per layer</source>
        <translation>Je Schicht erhalten</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>One rank for all layers.</source>
        <translation>Ein Rang für alle Schichten.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Quantile</source>
        <translation>Quantil</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>Ratio</source>
        <translation>Verhältnis</translation>
    </message>
    <message>
        <location filename="../../app/widgets/result/rank_modes.py"/>
        <source>The largest rank for all layers whose file is at most this large.</source>
        <translation>Der größte Rang für alle Schichten, dessen Datei höchstens so groß ist.</translation>
    </message>
</context>
<context>
    <name>real_change</name>
    <message>
        <source>Rounding noise was not measured.</source>
        <translation type="vanished">Das Rundungsrauschen wurde nicht gemessen.</translation>
    </message>
    <message>
        <source>The difference is all rounding noise: no change can be told from it.</source>
        <translation type="vanished">Die Differenz ist nur Rundungsrauschen: Eine Änderung ist davon nicht zu unterscheiden.</translation>
    </message>
    <message>
        <source>This assumes that the fine-tune was computed in higher precision from the original as stored, and rounded once.</source>
        <translation type="vanished">Angenommen ist dabei, dass das Finetuning in höherer Genauigkeit vom gespeicherten Original aus gerechnet und einmal gerundet wurde.</translation>
    </message>
    <message>
        <source>{share} of the difference is rounding noise ({both} with the original's own); of the real change it keeps {real} ({low} to {high}).</source>
        <translation type="vanished">{share} der Differenz sind Rundungsrauschen ({both} mit dem des Originals); von der echten Änderung bleiben {real} erhalten ({low} bis {high}).</translation>
    </message>
</context>
<context>
    <name>result</name>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>Kept least: {layers}</source>
        <translation>Am wenigsten erhalten: {layers}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>The layers that lost most, with the share they keep:</source>
        <translation>Die am wenigsten erhaltenen Schichten, mit ihrem erhaltenen Anteil:</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>not verified</source>
        <translation>nicht geprüft</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>{count} of {total} verified</source>
        <translation>{count} von {total} geprüft</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>{mark} {name}</source>
        <translation>{mark} {name}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>{name} {share}</source>
        <translation>{name} {share}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>{name}: {size}, {kept}</source>
        <translation>{name}: {size}, {kept}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>⚠ {name}: {reason}</source>
        <translation>⚠ {name}: {reason}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>⚠ {reason}</source>
        <translation>⚠ {reason}</translation>
    </message>
    <message>
        <location filename="../../app/widgets/bar/result_card.py"/>
        <source>⚠ {text}</source>
        <translation>⚠ {text}</translation>
    </message>
</context>
<context>
    <name>settings</name>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>90 % of each layer's change, at most rank 32</source>
        <translation>90 % der Änderung jeder Schicht, höchstens Rang 32</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>A1111</source>
        <translation>A1111</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Adaptive value</source>
        <translation>Adaptiver Wert</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Adaptive, Frobenius</source>
        <translation>Adaptiv, Frobenius</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Adaptive, above rounding noise</source>
        <translation>Adaptiv, über dem Rundungsrauschen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Adaptive, energy</source>
        <translation>Adaptiv, Energie</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Adaptive, quantile</source>
        <translation>Adaptiv, Quantil</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Adaptive, ratio</source>
        <translation>Adaptiv, Verhältnis</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Aggressive</source>
        <translation>Aggressiv</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Alpha</source>
        <translation>Alpha</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Also store the differences of biases, norms and bare parameters, which no low rank can hold.</source>
        <translation>Auch die Differenzen von Bias-Werten, Normen und einzelnen Parametern speichern, die kein niedriger Rang fassen kann.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Also write weights that only the fine-tuned model has, whole, as .set_weight, and new rows and input channels of others, as .reshape_weight.</source>
        <translation>Auch Gewichte, die nur das feinabgestimmte Modell hat, ganz als .set_weight schreiben, und neue Zeilen und Eingangskanäle anderer als .reshape_weight.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <location filename="../../engine/settings.py"/>
        <source>Automatic</source>
        <translation>Automatisch</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Balanced</source>
        <translation>Ausgewogen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Batch</source>
        <translation>Batch</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Best quality</source>
        <translation>Beste Qualität</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Biases and norms</source>
        <translation>Bias-Werte und Normen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Blocks in GPU</source>
        <translation>Blöcke in GPU</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Blocks read and uploaded ahead of the one being worked on.</source>
        <translation>Blöcke, die vor dem gerade bearbeiteten gelesen und übertragen werden.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>By the format</source>
        <translation>Nach dem Format</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Character</source>
        <translation>Figur</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Clamp at most</source>
        <translation>Höchstverlust</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Clamp both factors to the 0.99 quantile of their values, where that costs nearly nothing.</source>
        <translation>Beide Faktoren auf das 0,99-Quantil ihrer Werte begrenzen, wo das fast nichts kostet.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Clamp outliers</source>
        <translation>Ausreißer begrenzen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>ComfyUI</source>
        <translation>ComfyUI</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Compare with the original rounded to the fine-tuned model's number format, so that rounding is not taken for change. auto: where the fine-tuned model is the coarser one. on: also round the fine-tuned model where the original is the coarser one. off: compare both as stored. A weight that differs by rounding alone is always left out.</source>
        <translation>Mit dem Original vergleichen, gerundet auf das Zahlenformat des feinabgestimmten Modells, damit Rundung nicht als Änderung gilt. auto: wo das feinabgestimmte Modell gröber ist. on: auch das feinabgestimmte Modell runden, wo das Original gröber ist. off: vergleichen, was gespeichert ist. Ein Gewicht, das sich nur durch Rundung unterscheidet, wird immer weggelassen.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Conservative</source>
        <translation>Vorsichtig</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Debug report</source>
        <translation>Ausführlicher Bericht</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Device</source>
        <translation>Gerät</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Diffusers</source>
        <translation>Diffusers</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Each layer draws from its own generator, seeded by this and the layer's name.</source>
        <translation>Jede Schicht hat ihren eigenen Zufallsgenerator, aus diesem Wert und ihrem Namen.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Energy</source>
        <translation>Energie</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Exact (svd_linalg)</source>
        <translation>Exakt (svd_linalg)</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Extract only layers whose name matches one of these patterns, separated by commas (* and ?).</source>
        <translation>Nur Schichten extrahieren, deren Name zu einem dieser Muster passt, durch Kommas getrennt (* und ?).</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Fast look</source>
        <translation>Schneller Blick</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>File name</source>
        <translation>Dateiname</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>For</source>
        <translation>Für</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Forge</source>
        <translation>Forge</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>From {low} to {high}; {default} unless changed.</source>
        <translation>Von {low} bis {high}; {default}, wenn nicht geändert.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Full difference</source>
        <translation>Volle Differenz</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Go on where it stopped</source>
        <translation>Weitermachen, wo gestoppt wurde</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>How ranks are shared between layers for a size: uniform, by energy per byte, or by each layer's relative change.</source>
        <translation>Wie Ränge für eine Größe auf die Schichten verteilt werden: gleichmäßig, nach Energie je Byte oder nach der relativen Änderung jeder Schicht.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>How the rank of each layer is chosen: one rank for all, chosen per layer by a rule on its singular values, or none (full stores the whole difference).</source>
        <translation>Wie der Rang jeder Schicht gewählt wird: einer für alle, je Schicht nach einer Regel über ihre Singulärwerte, oder keiner (die volle Differenz wird gespeichert).</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>InvokeAI</source>
        <translation>InvokeAI</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Iterations</source>
        <translation>Iterationen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Key format</source>
        <translation>Schlüsselformat</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Kohya</source>
        <translation>Kohya</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Language model</source>
        <translation>Sprachmodell</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Largest share of a layer's energy that clamping may cost; beyond it the layer stays unclamped. 1.0 always clamps, as older tools do.</source>
        <translation>Größter Anteil der Energie einer Schicht, den das Begrenzen kosten darf; darüber bleibt sie unbegrenzt. 1.0 begrenzt immer, wie ältere Werkzeuge.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Layers worked on at the same time. Conservative computes one at a time.</source>
        <translation>Schichten, die zugleich bearbeitet werden. „Vorsichtig“ rechnet eine nach der anderen.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Leave out below</source>
        <translation>Weglassen unter</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Leave out layers whose name matches one of these patterns, separated by commas (* and ?).</source>
        <translation>Schichten weglassen, deren Name zu einem dieser Muster passt, durch Kommas getrennt (* und ?).</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Leave out layers whose relative change |delta| / |original| is at or below this. 0 leaves out only exactly unchanged layers.</source>
        <translation>Schichten weglassen, deren relative Änderung |Delta| / |Original| höchstens so groß ist. 0 lässt nur genau unveränderte weg.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Leave out layers with NaN or infinite values instead of ending with an error.</source>
        <translation>Schichten mit NaN oder unendlichen Werten weglassen, statt mit einem Fehler zu enden.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Memory budget</source>
        <translation>Speicherbudget</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Memory limit</source>
        <translation>Speichergrenze</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Memory the run may treat as the device's, such as 8GiB. Without an accelerator: half of what is free.</source>
        <translation>Speicher, den der Lauf als den des Geräts behandeln darf, etwa 8GiB. Ohne Beschleuniger: die Hälfte des freien.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Memory use</source>
        <translation>Speichernutzung</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Method</source>
        <translation>Verfahren</translation>
    </message>
    <message>
        <location filename="../../app/text/notices.py"/>
        <location filename="../../engine/settings.py"/>
        <source>New weights</source>
        <translation>Neue Gewichte</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Not layers</source>
        <translation>Ohne Schichten</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Number format of the file. fp16 suits nearly everything; a tensor that fp16 would damage is stored in fp32 and reported. fp8_e4m3 takes half the bytes of fp16, so that twice the rank fits in the same file; for ComfyUI and Forge alone.</source>
        <translation>Zahlenformat der Datei. fp16 passt fast immer; ein Tensor, dem fp16 schaden würde, wird in fp32 gespeichert und gemeldet. fp8_e4m3 braucht halb so viele Bytes wie fp16, sodass in dieselbe Datei der doppelte Rang passt; nur für ComfyUI und Forge.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Off</source>
        <translation>Aus</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>On, both ways</source>
        <translation>Ein, in beiden Richtungen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Only layers</source>
        <translation>Nur Schichten</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>PEFT</source>
        <translation>PEFT</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Parts</source>
        <translation>Teile</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Parts of the model to extract, separated by commas: denoiser, text_encoders, vae, other.</source>
        <translation>Zu extrahierende Teile des Modells: Denoiser, Text-Encoder, VAE, übrige.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Precision</source>
        <translation>Genauigkeit</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Print the detailed report: banner, a line per batch with its time and memory, totals.</source>
        <translation>Ausführlichen Bericht ausgeben: Kopf, je Batch eine Zeile mit Zeit und Speicher, Summen.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Randomised (svd_lowrank)</source>
        <translation>Randomisiert (svd_lowrank)</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Rank</source>
        <translation>Rang</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Rank of the LoRA, or the cap for adaptive types. Clipped to the smaller side of each layer. Styles: 16-64. Characters: 32-128.</source>
        <translation>Rang des LoRAs, oder der Höchstrang bei adaptiven Typen. Nie mehr als die kürzere Seite einer Schicht. Stile: 16–64. Figuren: 32–128.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Ranks by</source>
        <translation>Ränge nach</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Read ahead</source>
        <translation>Vorauslesen</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Relative change</source>
        <translation>Relative Änderung</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Round the original</source>
        <translation>Original runden</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Seed</source>
        <translation>Seed</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Share of the device's memory this run may fill: conservative 50 %, balanced 75 %, aggressive 90 %.</source>
        <translation>Anteil des Gerätespeichers, den dieser Lauf füllen darf: vorsichtig 50 %, ausgewogen 75 %, aggressiv 90 %.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Share of the whole device's memory in use, other programs included, above which the run offloads.</source>
        <translation>Belegter Anteil des ganzen Gerätespeichers, mit anderen Programmen, über dem der Lauf auslagert.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Size of the file, such as 150MB (10^6 bytes each): ranks are chosen so that it is at most that. A rank beside it is the most that a layer gets.</source>
        <translation>Größe der Datei, etwa 150MB (je 10^6 Byte): Die Ränge werden so gewählt, dass sie höchstens so groß wird. Ein Rang daneben ist der höchste einer Schicht.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Skip broken layers</source>
        <translation>Defekte Schichten überspringen</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Small file</source>
        <translation>Kleine Datei</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>Standard, a file size</source>
        <translation>Standard, eine Dateigröße</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Standard, one rank</source>
        <translation>Standard, ein Rang</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Start of the output file's name. A folder part is made under the output folder; a path that leaves the output folder is refused.</source>
        <translation>Anfang des Dateinamens. Ein Ordnerteil wird im Ausgabeordner angelegt; ein Pfad, der ihn verlässt, wird abgelehnt.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Strength</source>
        <translation>Stärke</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Style</source>
        <translation>Stil</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Subspace iterations of svd_lowrank; a bound, fewer are used once converged.</source>
        <translation>Unterraum-Iterationen von svd_lowrank; eine Obergrenze, nach der Konvergenz werden es weniger.</translation>
    </message>
    <message>
        <source>The adaptive rule's parameter. Recommended: ratio 0.02-0.3, quantile 0.1-0.9, energy 0.8-0.99, Frobenius 0.8-0.99.</source>
        <translation type="vanished">Parameter der adaptiven Regel. Empfohlen: Verhältnis 0,02–0,3, Quantil 0,1–0,9, Energie 0,8–0,99, Frobenius 0,8–0,99.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>The adaptive rule's parameter. Recommended: ratio 0.02-0.3, quantile 0.1-0.9, energy 0.8-0.99, Frobenius 0.8-0.99; adaptive_noise has none.</source>
        <translation>Parameter der adaptiven Regel. Empfohlen: Verhältnis 0,02–0,3, Quantil 0,1–0,9, Energie 0,8–0,99, Frobenius 0,8–0,99; adaptive_noise hat keinen.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>The alpha in the file: a number, rank, or auto. Factors are scaled so that their product stays the same.</source>
        <translation>Das Alpha in der Datei: eine Zahl, rank oder auto. Die Faktoren werden so skaliert, dass ihr Produkt gleich bleibt.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>The program that is to load the file. It chooses the format, and what it does not load is left out. Several on the command line give a file each. Without one: what the format's own program reads; Forge, InvokeAI and vLLM load a part of that.</source>
        <translation>Das Programm, das die Datei laden soll. Es bestimmt das Format, und was es nicht lädt, wird weggelassen. Mehrere auf der Kommandozeile geben je eine Datei. Ohne Angabe: was das Programm liest, von dem das Format stammt; Forge, InvokeAI und vLLM laden einen Teil davon.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>The rank</source>
        <translation>Der Rang</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Transformer blocks that stay on the device after use, for a next extraction from the same pair: no disk, no bus. 40 keeps all, and what lies outside the blocks. On a processor only with a memory budget.</source>
        <translation>Transformer-Blöcke, die nach Gebrauch auf dem Gerät bleiben, für eine nächste Extraktion aus demselben Paar ohne Lesen und Übertragen. 40 behält alle und auch, was außerhalb der Blöcke liegt. Auf einem Prozessor nur mit Speicherbudget.</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>Turbo or distilled minus base</source>
        <translation>Turbo oder destilliert minus Basis</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Type</source>
        <translation>Typ</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Uniform</source>
        <translation>Gleichmäßig</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Use what earlier runs of the same two models left: the layers of a stopped run, and finished decompositions. Off: everything is computed anew.</source>
        <translation>Verwenden, was frühere Läufe mit denselben Modellen hinterließen: Schichten eines gestoppten Laufs und fertige Zerlegungen. Aus: Alles wird neu berechnet.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>VAE</source>
        <translation>VAE</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>What the whole LoRA is multiplied by, so that strength 1 in a program means this one. Negative ones take the change away; not within 0.01 of 0.</source>
        <translation>Womit das ganze LoRA multipliziert wird, sodass Stärke 1 in einem Programm diese bedeutet. Negative Werte nehmen die Änderung weg; nicht näher als 0,01 an 0.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Where to compute: auto, cpu, cuda:0, mps or xpu; several as cuda:0,cuda:1, or all.</source>
        <translation>Wo gerechnet wird: auto, cpu, cuda:0, mps oder xpu; mehrere als cuda:0,cuda:1 oder all.</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>Whose key names the file uses, where no program is named. ComfyUI's hold everything, of every kind of model; Kohya's are read by most programs and go on in trainers, but hold no biases, norms and bare parameters.</source>
        <translation>Wessen Schlüsselnamen die Datei verwendet, wenn kein Programm genannt ist. Die von ComfyUI fassen alles, von jeder Art Modell; die von Kohya lesen die meisten Programme, und Trainer machen damit weiter, sie fassen aber keine Bias-Werte, Normen und einzelnen Parameter.</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>a look, a medium, a mood: rank 32</source>
        <translation>ein Aussehen, eine Technik, eine Stimmung: Rang 32</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>a person, a thing, a concept with details: rank 64</source>
        <translation>eine Person, ein Ding, ein Konzept mit Einzelheiten: Rang 64</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>a tuned language model and its base: rank 64, no clamping</source>
        <translation>ein feinabgestimmtes Sprachmodell und seine Basis: Rang 64, kein Begrenzen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>automatic, or 8GiB</source>
        <translation>automatisch oder 8GiB</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>denoiser</source>
        <translation>Denoiser</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>fp8 (e4m3)</source>
        <translation>fp8 (e4m3)</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>makes the base model as fast as its turbo: rank 256, no clamping</source>
        <translation>macht das Basismodell so schnell wie sein Turbo: Rang 256, kein Begrenzen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>other parts</source>
        <translation>Übriges</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>rank 128 without clamping, for a file that may be large</source>
        <translation>Rang 128 ohne Begrenzen, wenn die Datei groß sein darf</translation>
    </message>
    <message>
        <location filename="../../engine/presets.py"/>
        <source>rank 16 by the quick method, to see whether a pair is right</source>
        <translation>Rang 16 mit dem schnellen Verfahren, um zu sehen, ob das Paar stimmt</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>such as *attn*, *mlp.0*</source>
        <translation>etwa *attn*, *mlp.0*</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>such as 150 MB</source>
        <translation>z. B. 150 MB</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>svd_linalg gives the best possible answer at the rank, to working precision. svd_lowrank is randomised: an approximation, bounded by the iterations.</source>
        <translation>svd_linalg gibt die bestmögliche Antwort für den Rang, im Rahmen der Rechengenauigkeit. svd_lowrank ist randomisiert: eine Näherung, begrenzt durch die Iterationen.</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/fields.py"/>
        <source>text encoders</source>
        <translation>Text-Encoder</translation>
    </message>
    <message>
        <location filename="../../engine/settings.py"/>
        <source>vLLM</source>
        <translation>vLLM</translation>
    </message>
</context>
<context>
    <name>shortcuts</name>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Add what is shown to the queue</source>
        <translation>Aktuelles zur Warteschlange hinzufügen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Choose the output folder</source>
        <translation>Ausgabeordner wählen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Extract</source>
        <translation>Extrahieren</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Find a layer</source>
        <translation>Schicht suchen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Open the fine-tuned model</source>
        <translation>Feinabgestimmtes Modell öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Open the original model</source>
        <translation>Originalmodell öffnen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Quit</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Run the queue</source>
        <translation>Warteschlange ausführen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Show memory and time</source>
        <translation>Speicher und Zeit zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Show the layers</source>
        <translation>Schichten zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Show the log</source>
        <translation>Protokoll zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Show the queue</source>
        <translation>Warteschlange zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Show the result</source>
        <translation>Ergebnis zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Show this list</source>
        <translation>Diese Liste zeigen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Stop (asks first)</source>
        <translation>Stoppen (fragt nach)</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Swap the two models</source>
        <translation>Die beiden Modelle tauschen</translation>
    </message>
    <message>
        <location filename="../../app/widgets/basics/shortcuts.py"/>
        <source>Verify a LoRA</source>
        <translation>LoRA prüfen</translation>
    </message>
</context>
<context>
    <name>verification</name>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>Format: names of another tool.</source>
        <translation>Format: Namen eines anderen Werkzeugs.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>Format: {title}.</source>
        <translation>Format: {title}.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>It is written at strength {strength}; the judgement is of strength 1.</source>
        <translation>Es ist mit der Stärke {strength} geschrieben; beurteilt ist es bei Stärke 1.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>Rounding is not counted as change there; of the plain difference of the two files it keeps {mean}, {worst} in the weakest layer.</source>
        <translation>Rundung gilt dabei nicht als Änderung; vom reinen Unterschied der beiden Dateien behält es {mean}, in der schwächsten Schicht {worst}.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>That agrees with what the file says of itself.</source>
        <translation>Das stimmt mit dem überein, was die Datei von sich sagt.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>The file says nothing of its own quality to compare with.</source>
        <translation>Die Datei sagt nichts über ihre eigene Qualität, womit sich vergleichen ließe.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>The file says of itself {mean} and {worst}: {points} percentage points apart. Are these the models that it was extracted from?</source>
        <translation>Die Datei sagt von sich {mean} und {worst}: {points} Prozentpunkte Abstand. Sind das die Modelle, aus denen sie extrahiert wurde?</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>verified</source>
        <translation>geprüft</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>verified: keeps {points} percentage points less than reported</source>
        <translation>geprüft: erhält {points} Prozentpunkte weniger als angegeben</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>verified: keeps {points} percentage points more than reported</source>
        <translation>geprüft: erhält {points} Prozentpunkte mehr als angegeben</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/verification.py"/>
        <source>{count} keys belong to no weight of these models: {names}.</source>
        <translation>
            <numerusform>{count} Schlüssel gehört zu keinem Gewicht dieser Modelle: {names}.</numerusform>
            <numerusform>{count} Schlüssel gehören zu keinem Gewicht dieser Modelle: {names}.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/verification.py"/>
        <source>{count} layers that changed are not in the LoRA: {names}.</source>
        <translation>
            <numerusform>{count} geänderte Schicht ist nicht im LoRA: {names}.</numerusform>
            <numerusform>{count} geänderte Schichten sind nicht im LoRA: {names}.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>{names} and {count} more</source>
        <translation>{names} und {count} weitere</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>{name}: {kept}, {worst} in the weakest of {layers}.</source>
        <translation>{name}: {kept}, {worst} in der schwächsten von {layers}.</translation>
    </message>
    <message>
        <location filename="../../app/text/verification.py"/>
        <source>{name}: {kept}; {worst} in the weakest of {layers}.</source>
        <translation>{name}: {kept}; {worst} in der schwächsten von {layers}.</translation>
    </message>
</context>
<context>
    <name>wording</name>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Both models are chosen already; it takes the place of one of them.</source>
        <translation>Beide Modelle sind schon gewählt; es ersetzt eines davon.</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Choose the fine-tuned model</source>
        <translation>Feinabgestimmtes Modell wählen</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Choose the original model</source>
        <translation>Originalmodell wählen</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Choose two models to begin</source>
        <translation>Zwei Modelle wählen, um zu beginnen</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Correct the marked field on the left.</source>
        <translation>Das markierte Feld links berichtigen.</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Correct the settings on the left.</source>
        <translation>Die Einstellungen links berichtigen.</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Drop both files anywhere in this window.</source>
        <translation>Beide Dateien irgendwo in diesem Fenster ablegen.</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Drop its file here or press Browse.</source>
        <translation>Die Datei hier ablegen oder „Durchsuchen“ drücken.</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Get an undamaged file, or choose “Skip broken layers” under more options.</source>
        <translation>Eine unbeschädigte Datei besorgen oder unter „mehr Optionen“ „Defekte Schichten überspringen“ wählen.</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Please report it with Copy details and a copy of the log.</source>
        <translation>Bitte melden, mit „Details kopieren“ und einer Kopie des Protokolls.</translation>
    </message>
    <message numerus="yes">
        <location filename="../../app/text/window_text.py"/>
        <source>Two models are needed; these of the dropped files were not opened: {names}.</source>
        <translation>
            <numerusform>Zwei Modelle werden gebraucht; diese abgelegte Datei wurde nicht geöffnet: {names}.</numerusform>
            <numerusform>Zwei Modelle werden gebraucht; diese abgelegten Dateien wurden nicht geöffnet: {names}.</numerusform>
        </translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>Which model is {name}?</source>
        <translation>Welches Modell ist {name}?</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>all layers are at hand: takes seconds</source>
        <translation>alle Schichten liegen vor: dauert Sekunden</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>{done} of {total} are at hand</source>
        <translation>{done} von {total} liegen vor</translation>
    </message>
    <message>
        <location filename="../../app/text/window_text.py"/>
        <source>{titles} cannot be used as it is</source>
        <translation>{titles} ist so nicht verwendbar</translation>
    </message>
</context>
</TS>
