import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** Reads golden frames with the decoders that the reference tool generates, and compares with what each line says. */
public final class Reader {
    private static final int FRAMING_LENGTH = 6;
    private static final int HEADER_LENGTH = 8;
    private static final int HEADER_FIELD_COUNT = 6;
    private static final Map<Integer, String> PACKAGES =
            Map.of(100, "rialto.session", 200, "rialto.order_entry", 300, "rialto.market_data");

    private record Line(String name, String text) {}

    public static void main(String[] arguments) throws Exception {
        // Names of messages by "schema/template", as the script read them from the schemas.
        Map<String, String> messages = new TreeMap<>();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            messages.put(line.split(" ")[0], line.split(" ")[1]);
        }
        List<Path> files;
        try (Stream<Path> found = Files.list(Path.of(arguments[0]))) {
            files = found.filter(path -> path.toString().endsWith(".hex")).sorted().toList();
        }
        for (Path file : files) {
            check(file, messages);
        }
        System.out.println(files.size() + " frames agree");
    }

    private static void check(Path file, Map<String, String> messages) throws Exception {
        List<Byte> bytes = new ArrayList<>();
        List<Line> lines = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            String[] parts = line.split("\\|", 2);
            for (String digits : parts[0].trim().split(" +")) {
                bytes.add((byte) Integer.parseInt(digits, 16));
            }
            if (parts.length > 1) {
                String[] said = parts[1].trim().split(" =", 2);
                lines.add(new Line(said[0], said[1].trim()));
            }
        }
        byte[] frame = new byte[bytes.size()];
        for (int i = 0; i < frame.length; i++) {
            frame[i] = bytes.get(i);
        }
        DirectBuffer buffer = new UnsafeBuffer(frame, FRAMING_LENGTH, frame.length - FRAMING_LENGTH);
        int blockLength = buffer.getShort(0) & 0xFFFF;
        int template = buffer.getShort(2) & 0xFFFF;
        int schema = buffer.getShort(4) & 0xFFFF;
        int version = buffer.getShort(6) & 0xFFFF;
        String name = PACKAGES.get(schema) + "." + messages.get(schema + "/" + template) + "Decoder";
        Object decoder = Class.forName(name).getConstructor().newInstance();
        decoder.getClass().getMethod("wrap", DirectBuffer.class, int.class, int.class, int.class)
                .invoke(decoder, buffer, HEADER_LENGTH, blockLength, version);
        compare(file, decoder, lines.subList(HEADER_FIELD_COUNT, lines.size()));
    }

    private static void compare(Path file, Object decoder, List<Line> lines) throws Exception {
        for (int i = 0; i < lines.size(); i++) {
            Line line = lines.get(i);
            if (line.name.equals("group.blockLength")) {
                compareGroup(file, decoder, Integer.parseInt(lines.get(i + 1).text), lines.subList(i + 2, lines.size()));
                return;
            }
            boolean isOpaque = line.name.equals("Signature") || line.name.startsWith("Reserved");
            if (!isOpaque) {
                String read = text(decoder, line.name);
                if (!read.equals(line.text)) {
                    throw new AssertionError(file + ": " + line.name + " is " + read + ", not " + line.text);
                }
            }
        }
    }

    private static void compareGroup(Path file, Object decoder, int count, List<Line> lines) throws Exception {
        for (Method method : decoder.getClass().getMethods()) {
            if (method.getParameterCount() == 0 && method.getReturnType().getEnclosingClass() == decoder.getClass()) {
                Object group = method.invoke(decoder);
                int length = lines.size() / count;
                for (int entry = 0; entry < count; entry++) {
                    group.getClass().getMethod("next").invoke(group);
                    compare(file, group, lines.subList(entry * length, (entry + 1) * length));
                }
                return;
            }
        }
        throw new AssertionError(file + ": no group");
    }

    /** A field as the golden files write it. */
    private static String text(Object decoder, String name) throws Exception {
        String property = Character.toLowerCase(name.charAt(0)) + name.substring(1);
        Method getter = decoder.getClass().getMethod(property);
        Object value = getter.invoke(decoder);
        if (value instanceof Enum<?> code) {
            return code.name().equals("NULL_VAL") ? "absent" : code.name();
        }
        if (value instanceof Number number) {
            boolean isAbsent = value.equals(nullValue(decoder, property)) && isOptional(decoder, property);
            boolean isUnsigned = value instanceof Long && encoding(decoder, property).equals("uint64");
            return isAbsent ? "absent" : isUnsigned ? Long.toUnsignedString(number.longValue()) : number.toString();
        }
        if (value instanceof String characters) {
            return characters;
        }
        return flags(value);
    }

    private static Object nullValue(Object decoder, String property) throws Exception {
        return decoder.getClass().getMethod(property + "NullValue").invoke(null);
    }

    private static boolean isOptional(Object decoder, String property) throws Exception {
        Class<?> attribute = Class.forName(decoder.getClass().getPackageName() + ".MetaAttribute");
        Method meta = decoder.getClass().getMethod(property + "MetaAttribute", attribute);
        Object presence = Enum.valueOf(attribute.asSubclass(Enum.class), "PRESENCE");
        return meta.invoke(null, presence).equals("optional");
    }

    /** Whether a 64-bit field is signed: unsigned ones have all bits set for null. */
    private static String encoding(Object decoder, String property) throws Exception {
        return nullValue(decoder, property).equals(-1L) ? "uint64" : "int64";
    }

    private static String flags(Object set) throws Exception {
        List<String> choices = new ArrayList<>();
        for (Method method : set.getClass().getMethods()) {
            boolean isChoice = method.getReturnType() == boolean.class && method.getParameterCount() == 0;
            if (isChoice && !method.getName().equals("isEmpty") && (boolean) method.invoke(set)) {
                choices.add(Character.toUpperCase(method.getName().charAt(0)) + method.getName().substring(1));
            }
        }
        choices.sort(String::compareTo);
        return String.join(",", choices);
    }
}
